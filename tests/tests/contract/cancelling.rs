//! Cancelling a submission that waits, runs or has ended.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use blackbox::audit::Audit;
use blackbox::programs::{expect, python};
use serde_json::json;

use super::{begun, cancel, has_begun, of, queueing, running};

#[tokio::test]
async fn a_queued_submission_is_cancelled_at_once_and_stays_so() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;

            let answer = cancel(&user, &submitted).await?;
            let standing = answer.submitted()?;
            expect(&answer.json, &json!({ "id": submitted.id, "state": "cancelled" }))?;
            let view = user.show(&standing).await?;
            expect(
                &view,
                &json!({ "state": "cancelled", "verdict": null, "failure": null, "attempt": 0 }),
            )?;
            ensure!(
                view["cancellation_requested_at"].is_string() && view["finished_at"].is_string(),
                "{view}"
            );
            cancel(&user, &submitted).await?.expect_problem(409, "already-ended")?;
            Audit::settled(world, &[submitted]).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn a_running_submission_is_cancelled_and_the_executor_serves_the_next() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let printer = "import time\nwhile True: print('x' * 100, flush=True); time.sleep(.01)";
            for source in ["import time\ntime.sleep(30)", "while True: pass", printer] {
                let mut body = python(source);
                body["limits"] = json!({ "wall_time_ms": 30_000, "cpu_time_ms": 15_000, "output_bytes": 4_194_304 });
                let submitted = has_begun(&user, &body).await?;
                let asked = Instant::now();
                cancel(&user, &submitted).await?.submitted()?;
                let view = user.ended(&submitted).await?;
                expect(&view, &json!({ "state": "cancelled", "attempt": 1 }))?;
                ensure!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
            }
            let view = user.run(&python("print('next')")).await?;
            expect(&view, &json!({ "verdict": "finished", "stdout": "next\n", "attempt": 1 }))
        })
        .await
}

#[tokio::test]
async fn a_program_that_has_begun_is_stopped_by_its_cancellation() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = begun(&user, "import time\ntime.sleep(10)").await?;
            cancel(&user, &submitted).await?.submitted()?;
            let view = user.ended(&submitted).await?;
            expect(&view, &json!({ "state": "cancelled", "verdict": null, "attempt": 1 }))?;
            Audit::settled(world, &[submitted]).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn what_has_ended_cannot_be_cancelled() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            let ended = user.ended(&submitted).await?;
            cancel(&user, &submitted).await?.expect_problem(409, "already-ended")?;
            ensure!(user.get(&of(&submitted)).await?.ok()? == ended, "the refusal changed it");
            Ok(())
        })
        .await
}
