//! A machine that has far more to do than it can: the verdicts are those of an idle one, and people
//! are served in a fair order. `RUNLEDGER_TEST_SUBMISSIONS` makes the loads longer.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::{Submitted, TestClient};
use blackbox::programs::{c, python};
use blackbox::tools::submissions_or;
use blackbox::world::WorldBuilder;
use events::Event;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

/// How many CPU-bound submissions there are.
const BUSY: usize = 100;
/// What one of them needs of a processor: the loop, the start of Python, and the making of its
/// cell.
const BUSY_NEEDS: Duration = Duration::from_millis(550);
/// They come so many times faster than they can be run.
const OVERLOAD: u32 = 4;

/// Uses its processor time up to four fifths of its limit; its wall limit is twice that.
fn busy(number: usize) -> Value {
    let mut body = python("import time\nwhile time.process_time() < 0.4: pass\nprint('done')");
    body["limits"] = json!({ "cpu_time_ms": 500, "wall_time_ms": 1_000 });
    in_either_lane(body, number)
}

fn sleeper() -> Value {
    python("import time\ntime.sleep(1)\nprint('done')")
}

fn flood() -> Value {
    let mut body = python("while True: print('x' * 1000)");
    body["limits"] = json!({ "output_bytes": 10_000 });
    body
}

fn compiled() -> Value {
    c("#include <stdio.h>\nint main(void) { puts(\"done\"); return 0; }")
}

fn in_either_lane(mut body: Value, number: usize) -> Value {
    if number % 2 == 1 {
        body["cases"] = json!([{ "expected": "done" }]);
    }
    body
}

/// The submission of a number, and the verdict that it must have.
fn mixture(number: usize) -> Vec<(Value, &'static str)> {
    let well = if number % 2 == 1 { "accepted" } else { "finished" };
    let mut bodies = vec![(busy(number), well)];
    match number % 10 {
        2 => bodies.push((sleeper(), "finished")),
        5 => bodies.push((flood(), "output_limit")),
        8 => bodies.push((compiled(), "finished")),
        _ => {}
    }
    bodies
}

/// Submits at an even pace, whatever has ended by then.
async fn submit_at_pace(user: &TestClient, count: usize) -> Result<Vec<(Submitted, &'static str)>> {
    let processors = u32::try_from(available_parallelism()?.get())?;
    let mut pace = interval(BUSY_NEEDS / processors / OVERLOAD);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut submitted = Vec::new();
    for number in 0..count {
        pace.tick().await;
        for (body, verdict) in mixture(number) {
            submitted.push((user.submit(&body).await?, verdict));
        }
    }
    Ok(submitted)
}

#[tokio::test]
async fn verdicts_on_an_overloaded_machine_are_those_of_an_idle_one() -> Result<()> {
    let count = submissions_or(BUSY)?;
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let mut wrong = Vec::new();
            for (submitted, verdict) in submit_at_pace(&user, count).await? {
                let view = user.ended(&submitted).await?;
                if view["verdict"] != verdict {
                    wrong.push(view);
                }
            }
            ensure!(wrong.is_empty(), "{} wrong verdicts of {count}: {wrong:?}", wrong.len());
            Ok(())
        })
        .await
}

/// How many submissions the one has who asks for too much.
const CROWD: usize = 60;
/// The others have one each; there are so many of the one's for each of them.
const CROWD_PER_OTHER: usize = 12;
/// The most others there are.
const OTHERS_MAX: usize = 20;
/// Another's first submission waits for at most so many others for each person who waits.
const OTHERS_PER_PERSON_MAX: usize = 4;

/// How many submissions began between the first of all and each of `others`.
fn starts_before(audit: &Audit, others: &[Submitted]) -> Result<BTreeMap<String, usize>> {
    let starts = audit.messages.iter().filter_map(|message| {
        let envelope = &message.recorded.envelope;
        matches!(envelope.event, Event::Started(_)).then(|| envelope.submission.to_string())
    });
    let order: Vec<String> = starts.collect();
    let place = |id: &str| order.iter().position(|started| started == id);
    let waited = others.iter().map(|other| {
        let place = place(&other.id).with_context(|| format!("{} has not begun", other.id))?;
        Ok((other.id.clone(), place))
    });
    waited.collect()
}

#[tokio::test]
async fn no_person_waits_for_the_backlog_of_another() -> Result<()> {
    let count = submissions_or(CROWD)?;
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            // Without an executor they all wait.
            world.stop("executor").await?;
            let one = world.user("student-17")?;
            let hello = python("print('hello')");
            let mut all = Vec::new();
            for _ in 0..count {
                all.push(one.submit(&hello).await?);
            }
            let mut others = Vec::new();
            for number in 0..(count / CROWD_PER_OTHER).min(OTHERS_MAX) {
                others.push(world.user(&format!("other-{number}"))?.submit(&hello).await?);
            }
            // Two people of one platform are two.
            let mut by_platform = hello.clone();
            by_platform["end_user"] = json!("a person of the platform");
            others.push(one.submit(&by_platform).await?);
            world.start("executor").await?;
            all.extend(others.iter().cloned());
            let reader = world.client("auditor", "read:any")?;
            // One after the other: a thousand polls at once would be a load of their own.
            for submitted in &all {
                reader.ended(submitted).await?;
            }
            let audit = Audit::settled(world, &all).await?;
            let people = others.len() + 1;
            let waited = starts_before(&audit, &others)?;
            let most = waited.values().max().copied().unwrap_or_default();
            println!("{people} people wait; another's first began after at most {most} others: {waited:?}");
            ensure!(most <= OTHERS_PER_PERSON_MAX * people, "{waited:?}");
            Ok(())
        })
        .await
}
