//! Each limit stops a program with the verdict of that limit.

use anyhow::{Result, bail, ensure};
use blackbox::programs::{expect, python, text};
use serde_json::json;

use super::{play, usage};

#[tokio::test]
async fn a_program_that_loops_for_ever_is_stopped_by_its_cpu_time() -> Result<()> {
    play(async |user| {
        let mut body = python("while True: pass");
        body["limits"] = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 30_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "time_limit", "limit": "cpu_time", "state": "completed" }),
        )?;
        let (cpu, wall, _) = usage(&view)?;
        // It had all of its time, and not much more than its time.
        ensure!((900.0..2_000.0).contains(&cpu) && wall >= cpu * 0.9, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn cpu_time_is_that_of_all_processes_together() -> Result<()> {
    play(async |user| {
        let mut body = python("import os\nos.fork()\nos.fork()\nwhile True: pass");
        body["limits"] = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 30_000 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "time_limit", "limit": "cpu_time" }))?;
        ensure!(usage(&view)?.0 >= 900.0, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_program_that_sleeps_is_stopped_by_its_wall_time_and_has_used_no_cpu() -> Result<()> {
    play(async |user| {
        let mut body = python("import time\nprint('asleep', flush=True)\ntime.sleep(60)");
        body["limits"] = json!({ "wall_time_ms": 1_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "time_limit", "limit": "wall_time", "stdout": "asleep\n" }),
        )?;
        let (cpu, wall, _) = usage(&view)?;
        ensure!(wall >= 1_000.0 && cpu < 500.0, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_wall_time_limit_is_not_slow() -> Result<()> {
    play(async |user| {
        let mut body = python("import time\ntime.sleep(60)");
        body["limits"] = json!({ "wall_time_ms": 500 });
        // A busy machine may stop one of them late. A limit that is slow stops each of them late.
        for _ in 0..10 {
            let view = user.run(&body).await?;
            expect(&view, &json!({ "verdict": "time_limit", "limit": "wall_time" }))?;
            if usage(&view)?.1 < 650.0 {
                return Ok(());
            }
        }
        bail!("ten sleepers, and each ran for 150 ms more than its limit")
    })
    .await
}

#[tokio::test]
async fn the_cpu_time_that_is_told_is_what_the_program_measures_itself() -> Result<()> {
    play(async |user| {
        let source =
            "import time\nwhile time.process_time() < .3: pass\nprint(time.process_time())";
        let view = user.run(&python(source)).await?;

        let measured = text(&view, "stdout")?.trim().parse::<f64>()? * 1_000.0;
        let told = usage(&view)?.0;
        // A program cannot measure its own end. Processor time does not grow with the load of the
        // machine.
        ensure!((measured - 10.0..measured + 200.0).contains(&told), "{measured} ms: {view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_program_that_allocates_without_end_is_stopped_by_its_memory() -> Result<()> {
    play(async |user| {
        let mut body = python("kept = []\nwhile True: kept.append(bytearray(1 << 20))");
        body["limits"] = json!({ "memory_kib": 65_536 });
        let view = user.run(&body).await?;

        expect(&view, &json!({ "verdict": "memory_limit" }))?;
        let (cpu, wall, memory) = usage(&view)?;
        // A busy machine looks at the memory late, and the program goes on until then.
        ensure!((49_152..=131_072).contains(&memory) && wall >= cpu * 0.9, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn memory_is_that_of_all_processes_together() -> Result<()> {
    play(async |user| {
        let source = "import os, time\nfor _ in range(3): os.fork()\nkept = bytearray(b'x' * (16 << 20))\ntime.sleep(5)";
        let mut body = python(source);
        body["limits"] = json!({ "memory_kib": 65_536 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "memory_limit" }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_stopped_by_its_output() -> Result<()> {
    play(async |user| {
        let mut body = python("while True: print('x' * 1023)");
        body["limits"] = json!({ "output_bytes": 100_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "output_limit", "limit": "output", "stdout_truncated": true }),
        )?;
        let kept = text(&view, "stdout")?;
        ensure!(kept.len() <= 100_000 && kept.len() >= 65_536, "{} bytes were kept", kept.len());
        ensure!(
            kept.bytes().all(|byte| byte == b'x' || byte == b'\n'),
            "other bytes than were printed"
        );
        ensure!(
            view["stdout_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000),
            "{}",
            view["stdout_bytes"]
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn output_up_to_its_limit_is_whole_however_much_it_is() -> Result<()> {
    play(async |user| {
        let mut body = python("import sys\nsys.stdout.write('y' * 1000000)");
        body["limits"] = json!({ "output_bytes": 1_000_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "finished", "stdout_bytes": 1_000_000, "stdout_truncated": false }),
        )?;
        ensure!(text(&view, "stdout")? == "y".repeat(1_000_000), "it is not what was written");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_fork_bomb_hurts_only_itself() -> Result<()> {
    play(async |user| {
        let source = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass";
        let mut body = python(source);
        body["limits"] = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 5_000 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "state": "completed", "verdict": "time_limit" }))
    })
    .await
}

#[tokio::test]
async fn the_classic_fork_bomb_of_the_shell_hurts_only_itself() -> Result<()> {
    play(async |user| {
        let limits = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 3_000 });
        let body = json!({ "language": "bash", "source": "bomb() { bomb | bomb & }; bomb; wait", "limits": limits });
        let view = user.run(&body).await?;
        // It may fail by its own children or be stopped. It must have ended as a program ends, and
        // not by a failure of the platform.
        expect(&view, &json!({ "state": "completed", "failure": null, "attempt": 1 }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_kills_all_that_it_can_reach_kills_itself() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("import os\nos.kill(-1, 9)\nwhile True: pass")).await?;
        // On Linux `kill(-1)` spares the caller. With or without that, init lives and reports.
        expect(&view, &json!({ "state": "completed", "failure": null, "attempt": 1 }))
    })
    .await
}
