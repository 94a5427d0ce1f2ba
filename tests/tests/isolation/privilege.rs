//! A program has no privilege, and no way to get one.

use anyhow::{Result, ensure};
use blackbox::programs::{expect, python};
use serde_json::json;

use super::{play, report, reported};

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
