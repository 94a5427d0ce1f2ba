//! Nothing goes from one program to the next, or from a program to the executor's trust.

use anyhow::{Result, ensure};
use blackbox::programs::{expect, python};
use sandbox::protocol::{Response, StageExit, StageOutput, StageReport, StageUsage, encode};
use serde_json::json;

use super::{play, report};

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
