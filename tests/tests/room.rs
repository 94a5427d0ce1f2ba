//! Room: what was let in can end, one user's outputs do not close the door for others, and what has
//! aged is told as such. The limits are those of an installation, scaled down.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::Submitted;
use blackbox::programs::{expect, python};
use blackbox::wait::wait_until;
use blackbox::world::WorldBuilder;
use serde_json::{Value, json};

const SUBMISSIONS: &str = "/v1/submissions";
const MIB: usize = 1024 * 1024;

/// A program whose output has this length, and is another one for each number.
fn prints(number: usize, bytes: usize) -> Value {
    python(&format!("print('{number:08}' * {})", bytes / 8))
}

#[tokio::test]
async fn what_was_let_in_ends_whatever_it_prints() -> Result<()> {
    const LEDGER_BYTES: usize = 8 * MIB;
    // Nearly all that stays in the event.
    const OUTPUT_BYTES: usize = 60_000;
    WorldBuilder::default()
        .edge()
        .setting("STREAMS__LEDGER_BYTES_MAX", LEDGER_BYTES)
        .setting("ADMISSION__REFRESH_MS", 20)
        .play(async |world| {
            let user = world.user("student-17")?;
            world.stop("executor").await?;
            let mut accepted: Vec<Submitted> = Vec::new();
            // What one user waits for does not close the door.
            let refused = loop {
                let answer = user.post(SUBMISSIONS, &prints(accepted.len(), OUTPUT_BYTES)).await?;
                if answer.status != 202 {
                    break answer;
                }
                accepted.push(answer.submitted()?);
                ensure!(accepted.len() * OUTPUT_BYTES < LEDGER_BYTES / 3, "nothing is refused");
            };
            refused.expect_problem(429, "storage-exceeded")?;
            let full = loop {
                let other = world.user(&format!("other-{}", accepted.len()))?;
                let answer = other.post(SUBMISSIONS, &prints(accepted.len(), OUTPUT_BYTES)).await?;
                if answer.status != 202 {
                    break answer;
                }
                accepted.push(answer.submitted()?);
                ensure!(
                    accepted.len() * OUTPUT_BYTES < LEDGER_BYTES,
                    "more was let in than can end"
                );
            };
            full.expect_problem(503, "unavailable")?;
            let detail = full.json["detail"].as_str().unwrap_or_default();
            ensure!(detail.contains("the ledger has no room"), "{detail}");
            ensure!(accepted.len() > 10, "only {} were let in", accepted.len());

            // What the ledger has can be read.
            let last = accepted.last().context("nothing was accepted")?;
            let reader = world.client("auditor", "read:any")?;
            reader.get(&format!("{SUBMISSIONS}/{}", last.id)).await?.ok()?;

            // A new life of the service knows what is owed from the ledger.
            world.stop("command-api").await?;
            world.start("command-api").await?;
            let again = user.post(SUBMISSIONS, &python("print(1)")).await?;
            again.expect_problem(503, "unavailable")?;
            ensure!(again.json["detail"] == full.json["detail"], "{again:?}");

            // An operator makes some, as the page of the alarm says.
            let key = "STREAMS__LEDGER_BYTES_MAX";
            world.restart_with("provisioner", key, 2 * LEDGER_BYTES).await?;
            let other = world.user("other")?;
            wait_until("there is room again", Duration::from_secs(30), async || {
                let program = prints(accepted.len(), OUTPUT_BYTES);
                other.submit(&program).await.map(|submitted| accepted.push(submitted))
            })
            .await?;

            world.start("executor").await?;
            for submitted in &accepted {
                let ended = reader.ended(submitted).await?;
                expect(&ended, &json!({ "verdict": "finished", "stdout_truncated": false }))?;
            }
            // With them the debts have ended.
            wait_until("the door is open again", Duration::from_secs(30), async || {
                user.submit(&python("print(1)")).await.map(|submitted| accepted.push(submitted))
            })
            .await?;
            user.ended(accepted.last().context("nothing was accepted")?).await?;
            Audit::settled(world, &accepted).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn one_users_long_outputs_leave_the_door_open_for_others() -> Result<()> {
    const PRINCIPAL_BYTES: usize = 4 * MIB;
    const OUTPUT_BYTES: usize = 800_000;
    WorldBuilder::default()
        .edge()
        .setting("STREAMS__OBJECTS_BYTES_MAX", 32 * MIB)
        .setting("ADMISSION__STORED_BYTES_OF_PRINCIPAL_MAX", PRINCIPAL_BYTES)
        .setting("ADMISSION__REFRESH_MS", 20)
        .play(async |world| {
            let (greedy, other) = (world.user("greedy")?, world.user("other")?);
            let mut runs: Vec<Submitted> = Vec::new();
            let refused = loop {
                let answer = greedy.post(SUBMISSIONS, &prints(runs.len(), OUTPUT_BYTES)).await?;
                if answer.status != 202 {
                    break answer;
                }
                let submitted = answer.submitted()?;
                greedy.ended(&submitted).await?;
                runs.push(submitted);
                // What is stored is counted twice a second, and some runs end in that time.
                ensure!(runs.len() <= 3 * PRINCIPAL_BYTES / OUTPUT_BYTES, "nothing is refused");
            };
            refused.expect_problem(429, "storage-exceeded")?;
            let seconds = refused.header("retry-after").and_then(|text| text.parse::<u64>().ok());
            ensure!(seconds.is_some_and(|seconds| seconds > 6 * 24 * 3_600), "{refused:?}");

            let submitted = other.submit(&prints(0, OUTPUT_BYTES)).await?;
            let ended = other.ended(&submitted).await?;
            expect(&ended, &json!({ "verdict": "finished", "stdout_truncated": false }))?;
            ensure!(
                ended["stdout"].as_str().map(str::len) == Some(OUTPUT_BYTES + 1),
                "an output was cut"
            );
            // What the other one has is its own, though the content is the same.
            runs.push(submitted);
            Audit::settled(world, &runs).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn outputs_are_cut_long_before_they_close_the_door() -> Result<()> {
    const OUTPUT_BYTES: usize = 400_000;
    const RUNS: usize = 16;
    WorldBuilder::default()
        .edge()
        .setting("STREAMS__OBJECTS_BYTES_MAX", 4 * MIB)
        .setting("ADMISSION__REFRESH_MS", 20)
        .setting("ROOM__REFRESH_MS", 20)
        .play(async |world| {
            let user = world.user("student-17")?;
            let (mut runs, mut cut) = (Vec::new(), 0);
            for number in 0..RUNS {
                let submitted = user.submit(&prints(number, OUTPUT_BYTES)).await?;
                let ended = user.ended(&submitted).await?;
                expect(
                    &ended,
                    &json!({ "verdict": "finished", "stdout_bytes": OUTPUT_BYTES + 1 }),
                )?;
                cut += usize::from(ended["stdout_truncated"] == true);
                runs.push(submitted);
            }
            // Six fill 60 percent, and ten would fill the bucket.
            ensure!((RUNS - 9..RUNS - 4).contains(&cut), "{cut} outputs were cut");
            Audit::settled(world, &runs).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn an_output_expires_and_its_hash_and_length_stay() -> Result<()> {
    const OUTPUT_BYTES: usize = 100_000;
    WorldBuilder::default()
        .edge()
        .setting("OUTPUTS__AGE_S", 4)
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&prints(0, OUTPUT_BYTES)).await?;
            user.ended(&submitted).await?;
            let path = format!("{SUBMISSIONS}/{}", submitted.id);
            let fresh = user.get(&path).await?;
            let tag = fresh.header("etag").unwrap_or_default().to_owned();
            wait_until("the output has expired", Duration::from_secs(30), async || {
                let answer = user.get(&path).await?;
                ensure!(answer.json["stdout_expired"]["bytes"] == OUTPUT_BYTES + 1, "{answer:?}");
                ensure!(answer.json["stdout"].is_null(), "{answer:?}");
                ensure!(answer.header("etag") != Some(&tag), "the tag is the same: {answer:?}");
                Ok(())
            })
            .await?;
            Audit::settled(world, &[submitted]).await.map(drop)
        })
        .await
}
