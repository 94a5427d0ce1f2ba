//! The processes, the init and the environment that a program can see.

use anyhow::{Context, Result, ensure};
use blackbox::programs::expect;
use serde_json::json;
use servers::testing::password_of;

use super::{play, report};

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
        let secrets = [
            world.secret().text().to_owned(),
            world.nats()?.url(),
            password_of("executor"),
            world.mongo().database.clone(),
        ];
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
