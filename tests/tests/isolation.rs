//! What a program finds inside its cell: each test submits a program that looks or tries, and reads
//! its report.

use anyhow::{Context, Result, ensure};
use blackbox::client::TestClient;
use blackbox::programs::{expect, python, text};
use blackbox::world::{World, WorldBuilder};
use futures::future::try_join;
use sandbox::protocol::{Response, StageExit, StageOutput, StageReport, StageUsage, encode};
use serde_json::{Value, json};

async fn play(scenario: impl AsyncFnOnce(&TestClient, &mut World) -> Result<()>) -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("mallory")?;
            scenario(&user, world).await
        })
        .await
}

/// Runs a program that prints one JSON value, and returns it.
async fn report(user: &TestClient, source: &str) -> Result<Value> {
    let view = user.run(&python(source)).await?;
    reported(&view)
}

fn reported(view: &Value) -> Result<Value> {
    expect(view, &json!({ "verdict": "finished" }))?;
    serde_json::from_str(text(view, "stdout")?).with_context(|| format!("no report: {view}"))
}

/// A program that looks for a way out. Connecting a datagram socket asks the kernel for a route and
/// sends nothing, so the test would disturb no host even if there were a network. The addresses are
/// reserved for documentation.
const NETWORK: &str = r#"
import json, os, socket, sys

def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return None

def route(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as it:
        it.connect((address, 53))
        return it.getsockname()

def connect(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as it:
        return it.getpeername()

resolvers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
print(json.dumps({
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "devices": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line),
    "routes": [line for line in open("/proc/net/route")][1:],
    "way_out": [attempt(lambda: route(socket.AF_INET, address)) for address in ["192.0.2.1", "198.51.100.1"]],
    "way_out_6": attempt(lambda: route(socket.AF_INET6, "2001:db8::1")),
    "resolvers": [attempt(lambda: route(socket.AF_INET, address)) for address in resolvers if not address.startswith("127.")],
    "host_services": [attempt(lambda: connect(int(port))) for port in sys.argv[1:]],
    "netlink": attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "raw": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "packet": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "unix_sockets": [line for line in open("/proc/net/unix")][1:],
}))
"#;

#[tokio::test]
async fn there_is_no_network() -> Result<()> {
    play(async |user, world| {
        let services = [world.nats().url(), world.edge()?.url(), world.service("command-api")?.url()];
        let ports = services.iter().map(|url| url.rsplit(':').next().unwrap_or_default());
        let mut body = python(NETWORK);
        body["args"] = ports.collect();

        let report = reported(&user.run(&body).await?)?;

        expect(
            &report,
            &json!({
                "interfaces": ["lo"], "devices": ["lo"], "routes": [], "way_out": [null, null], "way_out_6": null,
                "host_services": [null, null, null], "raw": null, "packet": null, "netlink": null, "unix_sockets": [],
            }),
        )?;
        let resolvers = report["resolvers"].as_array().context("no resolvers")?;
        ensure!(resolvers.iter().all(Value::is_null), "a name server can be reached: {report}");
        Ok(())
    })
    .await
}

const LISTEN: &str = r#"
import json, socket
with socket.create_server(("127.0.0.1", 5000)) as server:
    server.settimeout(4)
    try:
        server.accept()
        print(json.dumps("visited"))
    except TimeoutError:
        print(json.dumps("alone"))
"#;

const VISIT: &str = r#"
import json, socket, time
end, met = time.monotonic() + 3, "nobody"
while time.monotonic() < end and met == "nobody":
    try:
        with socket.create_connection(("127.0.0.1", 5000), timeout=1):
            met = "somebody"
    except OSError:
        time.sleep(0.05)
print(json.dumps(met))
"#;

#[tokio::test]
async fn two_submissions_at_once_do_not_share_a_loopback() -> Result<()> {
    play(async |user, _| {
        let (listener, visitor) = try_join(report(user, LISTEN), report(user, VISIT)).await?;
        ensure!(listener == "alone" && visitor == "nobody", "{listener} {visitor}");
        Ok(())
    })
    .await
}

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

const PROCESSES: &str = r#"
import json, os, subprocess
child = subprocess.Popen(["sleep", "60"])
seen = {}
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            fields = dict(line.split(":", 1) for line in open(f"/proc/{name}/status"))
        except OSError:
            continue
        seen[int(name)] = fields["Name"].strip()
child.kill()
others = {pid: name for pid, name in seen.items() if pid not in (1, os.getpid(), child.pid)}
print(json.dumps({"init": seen.get(1), "child": child.pid in seen, "others": others}))
"#;

#[tokio::test]
async fn no_other_process_can_be_seen_than_its_own_and_init() -> Result<()> {
    play(async |user, _| {
        let report = report(user, PROCESSES).await?;
        expect(&report, &json!({ "init": "cell-init", "child": true, "others": {} }))
    })
    .await
}

const INIT: &str = r#"
import json, os, signal
def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return None
read = lambda path: open(path, "rb").read(1)
print(json.dumps({
    "environ": attempt(lambda: read("/proc/1/environ")),
    "memory": attempt(lambda: read("/proc/1/mem")),
    "maps": attempt(lambda: read("/proc/1/maps")) or None,
    "pipes": [attempt(lambda: os.open(f"/proc/1/fd/{n}", os.O_RDWR)) for n in range(8)],
    "root": attempt(lambda: os.listdir("/proc/1/root")),
    "cwd": attempt(lambda: os.listdir("/proc/1/cwd")),
    "signals": [attempt(lambda: os.kill(1, n)) for n in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT)],
    "own_descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd"))[:3],
    "extra_descriptors": [n for n in range(3, 1024) if attempt(lambda: os.fstat(n))],
}))
"#;

#[tokio::test]
async fn init_can_be_neither_read_nor_signalled_and_leaves_no_descriptor_open() -> Result<()> {
    play(async |user, _| {
        let report = report(user, INIT).await?;
        let nothing = json!(null);
        expect(
            &report,
            &json!({
                "environ": nothing, "memory": nothing, "maps": nothing, "pipes": vec![(); 8], "root": nothing,
                "cwd": nothing, "signals": vec![(); 4], "own_descriptors": [0, 1, 2], "extra_descriptors": [],
            }),
        )
    })
    .await
}

#[tokio::test]
async fn the_environment_holds_nothing_of_ours() -> Result<()> {
    play(async |user, world| {
        let report = report(user, "import json, os\nprint(json.dumps(dict(os.environ)))").await?;
        let secrets =
            [world.secret().text().to_owned(), world.nats().url(), world.mongo().database.clone()];
        let names = report.as_object().context("no environment")?;
        for (name, value) in names {
            let plain = [
                "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "PWD", "SHLVL", "TMPDIR", "USER",
                "LOGNAME", "_", "TERM",
            ];
            let of_language = name.starts_with("PYTHON");
            ensure!(
                plain.contains(&name.as_str()) || of_language,
                "{name} is in the environment: {report}"
            );
            let value = value.as_str().unwrap_or_default();
            ensure!(!secrets.iter().any(|secret| value.contains(secret)), "{name} holds a secret");
        }
        Ok(())
    })
    .await
}

const STATUS: &str = r#"
import json
fields = {}
for line in open("/proc/self/status"):
    name, value = line.split(":", 1)
    fields[name] = value.split()
names = ["CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp"]
print(json.dumps({**{name: int(fields[name][0], 16) for name in names}, "ids": fields["Uid"] + fields["Gid"], "groups": fields["Groups"]}))
"#;

#[tokio::test]
async fn a_program_has_no_privilege() -> Result<()> {
    play(async |user, _| {
        let report = report(user, STATUS).await?;
        let capabilities = json!({ "CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0 });
        expect(&report, &capabilities)?;
        expect(&report, &json!({ "NoNewPrivs": 1, "Seccomp": 2 }))?;
        let ids: Vec<u32> = serde_json::from_value::<Vec<String>>(report["ids"].clone())?
            .iter()
            .map(|id| id.parse())
            .collect::<Result<_, _>>()?;
        ensure!(ids.iter().all(|id| *id >= 1_000), "{report}");
        let groups: Vec<String> = serde_json::from_value(report["groups"].clone())?;
        ensure!(!groups.iter().any(|group| group == "0"), "{report}");
        Ok(())
    })
    .await
}

/// Each of these would be a step towards more privilege, and has to fail.
const GAIN: &str = r#"
import ctypes, json, os, subprocess
libc = ctypes.CDLL(None, use_errno=True)

def raw(*arguments):
    return libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]) == -1

def python(action):
    try:
        action()
        return False
    except (OSError, ValueError):
        return True

buffer = ctypes.create_string_buffer(256)
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID = 0x10000000, 0x20000, 0x40000000, 0x20000000
refused = {
    "setuid": python(lambda: os.setuid(0)),
    "seteuid": python(lambda: os.seteuid(0)),
    "setresuid": python(lambda: os.setresuid(0, 0, 0)),
    "setgid": python(lambda: os.setgid(0)),
    "setgroups": python(lambda: os.setgroups([0])),
    "unshare_user": raw(272, CLONE_NEWUSER),
    "unshare_mount": raw(272, CLONE_NEWNS),
    "unshare_net": raw(272, CLONE_NEWNET),
    "clone_user": raw(56, CLONE_NEWUSER | 17, 0, 0, 0, 0),
    "clone_pid": raw(56, CLONE_NEWPID | 17, 0, 0, 0, 0),
    "clone3": raw(435, buffer, 88),
    "setns": raw(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0),
    "mount": raw(165, b"none", b"/tmp", b"tmpfs", 0, None),
    "umount": raw(166, b"/tmp", 0),
    "open_tree": raw(428, -100, b"/", 1),
    "fsopen": raw(430, b"tmpfs", 0),
    "pivot_root": raw(155, b"/tmp", b"/tmp"),
    "chroot": python(lambda: os.chroot("/tmp")),
    "mknod": python(lambda: os.mknod("/tmp/device", 0o600 | 0o60000, os.makedev(8, 0))),
    "ptrace_init": raw(101, 16, 1, 0, 0),
    "ptrace_seize_init": raw(101, 0x4206, 1, 0, 0),
    "process_vm_readv_init": raw(310, 1, buffer, 1, buffer, 1, 0),
    "pidfd_getfd_init": raw(438, 3, 0, 0),
    "kcmp_init": raw(312, 1, os.getpid(), 0, 0, 0),
    "bpf": raw(321, 0, buffer, 48),
    "perf_event_open": raw(298, buffer, 0, -1, -1, 0),
    "userfaultfd": raw(323, 0),
    "keyctl": raw(250, 0, -3, 1),
    "add_key": raw(248, b"user", b"x", b"y", 1, -3),
    "io_uring_setup": raw(425, 8, buffer),
    "init_module": raw(175, buffer, 0, b""),
    "kexec_load": raw(246, 0, 0, 0, 0),
    "reboot": raw(169, 0xfee1dead, 672274793, 0, 0),
    "swapon": raw(167, b"/tmp/x", 0),
    "settimeofday": raw(164, buffer, 0),
    "sethostname": python(lambda: __import__("socket").sethostname("x")),
    "iopl": raw(172, 3),
    "syslog": raw(103, 3, buffer, 256),
    "quotactl": raw(179, 0, b"/", 0, buffer),
    "name_to_handle_at_open": raw(304, -100, buffer, 0),
    "raise_nofile": python(lambda: __import__("resource").setrlimit(7, (1 << 20, 1 << 20))),
    "nice_down": python(lambda: os.nice(-5)),
    "realtime": python(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
}
print(json.dumps(sorted(name for name, was in refused.items() if not was)))
"#;

#[tokio::test]
async fn every_way_to_more_privilege_is_refused() -> Result<()> {
    play(async |user, _| {
        let succeeded = report(user, GAIN).await?;
        ensure!(succeeded == json!([]), "these succeeded: {succeeded}");
        Ok(())
    })
    .await
}

const SETUID_FILES: &str = r#"
import json, os, stat
found = []
for path, dirs, files in os.walk("/"):
    if path.startswith(("/proc", "/sys")):
        dirs.clear()
        continue
    for name in files:
        try:
            if os.lstat(os.path.join(path, name)).st_mode & (stat.S_ISUID | stat.S_ISGID) and not os.path.islink(os.path.join(path, name)):
                found.append(os.path.join(path, name))
        except OSError:
            pass
print(json.dumps(found))
"#;

#[tokio::test]
async fn no_program_in_the_image_runs_as_another() -> Result<()> {
    play(async |user, _| {
        let mut body = python(SETUID_FILES);
        body["limits"] = json!({ "cpu_time_ms": 15_000, "wall_time_ms": 30_000 });
        let found = reported(&user.run(&body).await?)?;
        ensure!(found == json!([]), "{found}");
        Ok(())
    })
    .await
}

/// Leaves something wherever it can be left: files, shared memory, a message queue, and a process
/// that outlives it.
const LEAVE: &str = r#"
import ctypes, json, os
libc = ctypes.CDLL(None)
open("/tmp/left", "w").write("left")
open("/box/left", "w").write("left")
libc.shmget(4242, 4096, 0o1666)
libc.msgget(4242, 0o1666)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        time.sleep(30)
    os._exit(0)
print(json.dumps("left"))
"#;

const FIND: &str = r#"
import ctypes, json, os
libc = ctypes.CDLL(None)
processes = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]
print(json.dumps({
    "tmp": os.listdir("/tmp"), "box": sorted(os.listdir("/box")), "processes": processes,
    "shared_memory": libc.shmget(4242, 4096, 0) != -1, "queue": libc.msgget(4242, 0) != -1,
}))
"#;

#[tokio::test]
async fn nothing_of_another_submission_is_left() -> Result<()> {
    play(async |user, _| {
        for _ in 0..4 {
            ensure!(report(user, LEAVE).await? == "left", "it could not leave anything");
            let found = report(user, FIND).await?;
            expect(
                &found,
                &json!({ "tmp": [], "box": ["main.py"], "processes": [], "shared_memory": false, "queue": false }),
            )?;
        }
        Ok(())
    })
    .await
}

const CASES: &str = r#"
import os, sys, time
if input() == "leave":
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
    print("left")
else:
    print(sum(name.isdigit() and int(name) not in (1, os.getpid()) for name in os.listdir("/proc")))
"#;

#[tokio::test]
async fn a_case_sees_no_process_of_the_case_before() -> Result<()> {
    play(async |user, _| {
        let mut body = python(CASES);
        let left = json!({ "stdin": "leave", "expected": "left" });
        let found = json!({ "stdin": "look", "expected": "0" });
        body["cases"] = json!([left, found, left, found]);
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "accepted" }))
    })
    .await
}

#[tokio::test]
async fn what_a_program_prints_cannot_speak_for_init() -> Result<()> {
    play(async |user, _| {
        // An answer as init gives it, written to every descriptor that a program could guess. It
        // has to be output, and nothing else.
        let forged = hex::encode(encode(&Response::Ran(forged_report()))?);
        let source = format!(
            r#"
import os
for n in range(0, 32):
    try:
        os.write(n, bytes.fromhex("{forged}") * 4)
    except OSError:
        pass
"#
        );
        let view = user.run(&python(&source)).await?;
        expect(&view, &json!({ "verdict": "finished", "attempt": 1, "exit_code": 0 }))?;
        ensure!(view["stdout_bytes"].as_u64() == Some(2 * forged.len() as u64), "{view}");
        Ok(())
    })
    .await
}

/// What init would report of a program that ended with code 42.
fn forged_report() -> StageReport {
    StageReport {
        exit: StageExit::Code(42),
        stopped: None,
        usage: StageUsage::default(),
        stdout: StageOutput::default(),
        stderr: StageOutput::default(),
    }
}
