//! What a program can write, where, and how much.

use anyhow::{Result, ensure};
use blackbox::programs::{expect, python};
use serde_json::json;

use super::{play, report, reported};

/// Tries to make a file in every directory, to open every file for writing, and to write to every
/// place in `/proc` and `/sys`.
const WRITE: &str = r#"
import errno, json, os, stat

made, opened, sockets, devices, looked = [], [], [], [], 0
mine = {f"/proc/{os.getpid()}", "/proc/self", "/proc/thread-self"}

def visit(path):
    global looked
    looked += 1
    probe = os.path.join(path, "probe")
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(probe)
        made.append(path)
    except OSError:
        pass
    try:
        entries = list(os.scandir(path))
    except OSError:
        return
    for entry in entries:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            if entry.path not in mine:
                visit(entry.path)
        elif stat.S_ISSOCK(mode):
            sockets.append(entry.path)
        elif stat.S_ISBLK(mode):
            devices.append(entry.path)
        elif stat.S_ISREG(mode):
            try:
                file = os.open(entry.path, os.O_WRONLY | os.O_NONBLOCK)
                # Some files of /proc can be opened by anybody and refuse what is written; this asks for a notice of pressure.
                if entry.path.startswith(("/proc/", "/sys/")):
                    os.write(file, b"some 1000000 2000000")
                opened.append(entry.path)
            except OSError:
                pass

visit("/")
def outside(paths):
    return sorted(path for path in paths if not (path + "/").startswith(("/box/", "/tmp/")))
print(json.dumps({
    "made": outside(made), "opened": outside(opened), "sockets": sockets, "devices": devices,
    "box": "/box" in made, "tmp": "/tmp" in made, "looked_around": looked > 1000,
}))
"#;

#[tokio::test]
async fn nothing_can_be_written_outside_the_box_and_tmp() -> Result<()> {
    play(async |user, _| {
        let mut body = python(WRITE);
        body["limits"] = json!({ "cpu_time_ms": 15_000, "wall_time_ms": 30_000 });
        let report = reported(&user.run(&body).await?)?;
        // Without any socket there is no Docker socket either.
        let nothing = json!({ "made": [], "opened": [], "sockets": [], "devices": [] });
        expect(&report, &nothing)?;
        expect(&report, &json!({ "box": true, "tmp": true, "looked_around": true }))
    })
    .await
}

const MOUNTS: &str = r#"
import json, os
mounts = [line.split() for line in open("/proc/self/mounts")]
print(json.dumps({
    "writable": sorted(m[1] for m in mounts if os.path.isdir(m[1]) and os.access(m[1], os.W_OK)),
    "tmpfs": {m[1]: sorted(set(m[3].split(",")) & {"nosuid", "nodev"}) for m in mounts if m[1] in ("/box", "/tmp")},
    "root": next(m[3].split(",")[0] for m in mounts if m[1] == "/"),
}))
"#;

#[tokio::test]
async fn only_the_box_and_tmp_are_mounted_writable() -> Result<()> {
    play(async |user, _| {
        let report = report(user, MOUNTS).await?;
        let guarded = ["nodev", "nosuid"];
        expect(
            &report,
            &json!({ "writable": ["/box", "/tmp"], "root": "ro", "tmpfs": { "/box": guarded, "/tmp": guarded } }),
        )
    })
    .await
}

const FILL: &str = r#"
import json, os
def fill(path):
    written = 0
    try:
        for number in range(100000):
            with open(f"{path}/{number}", "wb") as file:
                written += file.write(b"x" * (1 << 20))
    except OSError as error:
        return {"mib": written >> 20, "errno": error.errno}
def inodes(path):
    try:
        for number in range(100000):
            os.close(os.open(f"{path}/i{number}", os.O_CREAT | os.O_WRONLY))
    except OSError as error:
        return {"made": number, "errno": error.errno}
full = fill("/tmp")
for name in os.listdir("/tmp"):
    os.unlink("/tmp/" + name)
print(json.dumps({"full": full, "inodes": inodes("/tmp")}))
"#;

/// `ENOSPC`.
const NO_SPACE: u32 = 28;

#[tokio::test]
async fn tmp_has_a_size_and_a_number_of_files() -> Result<()> {
    play(async |user, _| {
        let mut body = python(FILL);
        body["limits"] =
            json!({ "memory_kib": 1_048_576, "cpu_time_ms": 15_000, "wall_time_ms": 30_000 });
        let report = reported(&user.run(&body).await?)?;
        ensure!(
            report["full"]["errno"] == NO_SPACE && report["inodes"]["errno"] == NO_SPACE,
            "{report}"
        );
        Ok(())
    })
    .await
}
