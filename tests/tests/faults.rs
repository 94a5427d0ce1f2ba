//! Each process in turn is killed with SIGKILL in the middle of a load, and started again: every
//! 202 ends in exactly one terminal event, and the views agree with the fold.
//! `RUNLEDGER_TEST_SUBMISSIONS` makes the loads longer.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use async_nats::jetstream;
use async_nats::jetstream::consumer::{self, pull};
use blackbox::audit::Audit;
use blackbox::client::{Submitted, TestClient};
use blackbox::load::{Load, Seen};
use blackbox::programs::{expect, python};
use blackbox::tools::submissions_per_fault;
use blackbox::wait::wait_until;
use blackbox::world::{World, WorldBuilder};
use events::Clock as _;
use events::event::LostReason;
use events::subject::LEDGER_STREAM;
use futures::StreamExt as _;
use futures::future::try_join;
use platform::clock::SystemClock;
use rustix::process::Signal;
use serde_json::json;

/// How long the queue waits for a sign of life, in seconds. This is the least that the provisioner
/// allows, so that a test is short.
const ACK_WAIT_SECONDS: u32 = 3;
/// The durable of the lane `run`.
const DURABLE: &str = "executor-run-normal-core-v1";
/// How often an executor is killed to measure how long its submissions wait. Each time finds its
/// heartbeats somewhere else.
const TAKE_OVERS: usize = 3;
/// When the fault comes, in percent of the submissions ended. It comes twice.
const FAULTS_AT: [usize; 2] = [25, 60];
/// How long a restarted executor may take to remove the containers of its life before.
const SWEEP_PATIENCE: Duration = Duration::from_mins(5);

fn world() -> WorldBuilder {
    WorldBuilder::default().edge().setting("QUEUES__ACK_WAIT_S", ACK_WAIT_SECONDS)
}

fn promises(seen: &[Seen]) -> Vec<Submitted> {
    seen.iter().map(|seen| seen.submitted.clone()).collect()
}

/// Kills `part` twice during a load and starts it again at once.
async fn kill_during_a_load(part: &str, builder: WorldBuilder) -> Result<()> {
    let load = Load::new(submissions_per_fault()?);
    builder
        .play(async |world| {
            let user = world.user("student-17")?;
            let faults = async {
                for percent in FAULTS_AT {
                    load.reaches(percent).await;
                    world.kill(part)?;
                    world.start(part).await?;
                }
                Ok(())
            };
            let (seen, ()) = try_join(load.run(&user), faults).await?;
            world.all_ready().await?;
            settled(world, &user, &seen).await?;
            Ok(())
        })
        .await
}

/// Checks everything that must hold after a load, and that the world still works.
async fn settled(world: &World, user: &TestClient, seen: &[Seen]) -> Result<Audit> {
    let next = user.submit(&python("print('next')")).await?;
    expect(&user.ended(&next).await?, &json!({ "verdict": "finished", "attempt": 1 }))?;
    let mut submitted = promises(seen);
    submitted.push(next);
    let audit = Audit::settled(world, &submitted).await?;
    ensure!(audit.check_objects(world).await? > 0, "the load has stored no object");
    for seen in seen {
        let submission = audit.submission(&seen.submitted.id)?;
        ensure!(
            seen.view["sequence"] == submission.sequence,
            "a client saw another end: {}",
            seen.view
        );
    }
    one_life_of_containers(world).await?;
    Ok(audit)
}

/// I9: only the present life of an executor has containers.
async fn one_life_of_containers(world: &World) -> Result<()> {
    lives_of_containers(world, 1).await
}

async fn lives_of_containers(world: &World, executors: usize) -> Result<()> {
    wait_until("only present lives of executors have containers", SWEEP_PATIENCE, async || {
        let containers = world.cells().list().await?;
        let lives: BTreeSet<&str> =
            containers.iter().map(|container| container.boot.as_str()).collect();
        ensure!(lives.len() == executors, "{} lives have containers: {lives:?}", lives.len());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_load_without_a_fault_settles() -> Result<()> {
    let load = Load::new(submissions_per_fault()?);
    world()
        .play(async |world| {
            let user = world.user("student-17")?;
            let seen = load.run(&user).await?;
            let audit = settled(world, &user, &seen).await?;
            let attempts = audit
                .folds
                .values()
                .filter_map(|fold| fold.submission.as_ref())
                .map(|it| it.attempts.len());
            ensure!(attempts.max() == Some(1), "something was tried twice without a fault");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn nats_server_is_killed() -> Result<()> {
    kill_during_a_load("nats", world()).await
}

#[tokio::test]
async fn the_command_api_is_killed() -> Result<()> {
    kill_during_a_load("command-api", world()).await
}

#[tokio::test]
async fn the_executor_is_killed() -> Result<()> {
    kill_during_a_load("executor", world()).await
}

#[tokio::test]
async fn the_projector_is_killed() -> Result<()> {
    kill_during_a_load("projector", world()).await
}

#[tokio::test]
async fn the_query_api_is_killed() -> Result<()> {
    kill_during_a_load("query-api", world()).await
}

#[tokio::test]
async fn the_edge_is_killed() -> Result<()> {
    kill_during_a_load("edge", world()).await
}

#[tokio::test]
async fn postgres_is_killed() -> Result<()> {
    kill_during_a_load("postgres", world().private_databases()).await
}

#[tokio::test]
async fn mongod_is_killed() -> Result<()> {
    kill_during_a_load("mongod", world().private_databases()).await
}

#[tokio::test]
async fn the_docker_engine_is_killed() -> Result<()> {
    kill_during_a_load("docker", world().private_engine()).await
}

#[tokio::test]
async fn what_a_killed_executor_had_begun_is_begun_again() -> Result<()> {
    world()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = begun(&user, "import time\ntime.sleep(2)\nprint('done')", 1).await?;
            world.kill("executor")?;
            world.start("executor").await?;

            let view = user.ended(&submitted).await?;
            expect(&view, &json!({ "verdict": "finished", "attempt": 2, "stdout": "done\n" }))?;
            let audit = Audit::settled(world, std::slice::from_ref(&submitted)).await?;
            let first = audit.submission(&submitted.id)?.attempts.first().context("no attempt")?;
            let lost = first.lost.context("the first attempt is not lost")?;
            ensure!(lost.reason == LostReason::ExecutorGone, "{lost:?}");
            one_life_of_containers(world).await
        })
        .await
}

#[tokio::test]
async fn the_submissions_of_a_killed_executor_are_begun_again_within_15_seconds() -> Result<()> {
    // Not `world()`: the promise holds for the default ack wait.
    WorldBuilder::default()
        .edge()
        .executors(2)
        .play(async |world| {
            let user = world.user("student-17")?;
            let (mut submitted, mut waits) = (Vec::new(), Vec::new());
            for _ in 0..TAKE_OVERS {
                // Only one executor is there to begin them, so all are its own when it is killed.
                world.stop("executor-2").await?;
                // One in each lane: the least that runs at once on any machine.
                let runs = python("import time\ntime.sleep(8)");
                let mut judged = runs.clone();
                judged["cases"] = json!([{ "stdin": "", "expected": "" }]);
                let held = [user.submit(&runs).await?, user.submit(&judged).await?];
                for submitted in &held {
                    running(&user, submitted, 1).await?;
                }
                world.start("executor-2").await?;
                let killed_at = SystemClock.now();
                world.kill("executor")?;
                for submitted in &held {
                    user.ended(submitted).await?;
                }
                let audit = Audit::read(world).await?;
                for submitted in &held {
                    let again = audit.submission(&submitted.id)?.attempts[1].started_at;
                    waits.push(again - killed_at);
                }
                submitted.extend(held);
                world.start("executor").await?;
            }
            // Of so few, the 95th percentile is the longest one.
            waits.sort_unstable();
            let longest = waits.last().context("no submission was taken over")?;
            ensure!(longest.num_seconds() < 15, "waited {waits:?}");
            Audit::settled(world, &submitted).await?;
            lives_of_containers(world, 2).await
        })
        .await
}

#[tokio::test]
async fn an_executor_that_is_told_to_stop_finishes_what_it_holds() -> Result<()> {
    let load = Load::new(submissions_per_fault()?);
    world()
        .play(async |world| {
            let user = world.user("student-17")?;
            let restarts = async {
                for percent in FAULTS_AT {
                    load.reaches(percent).await;
                    let status = world.stop("executor").await?;
                    ensure!(status.success(), "the executor ended with {status}");
                    world.nothing_left().await?;
                    world.start("executor").await?;
                }
                Ok(())
            };
            let (seen, ()) = try_join(load.run(&user), restarts).await?;
            let audit = settled(world, &user, &seen).await?;
            for submission in audit.folds.values().filter_map(|fold| fold.submission.as_ref()) {
                ensure!(
                    submission.attempts.len() == 1,
                    "an orderly restart cost an attempt: {submission:?}"
                );
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn every_other_service_restarts_in_an_orderly_way_and_loses_nothing() -> Result<()> {
    let load = Load::new(submissions_per_fault()?);
    world()
        .play(async |world| {
            let user = world.user("student-17")?;
            let restarts = async {
                for (service, percent) in
                    [("command-api", 20), ("query-api", 45), ("projector", 70)]
                {
                    load.reaches(percent).await;
                    let status = world.stop(service).await?;
                    ensure!(status.success(), "{service} ended with {status}");
                    world.start(service).await?;
                }
                Ok(())
            };
            let (seen, ()) = try_join(load.run(&user), restarts).await?;
            settled(world, &user, &seen).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn an_executor_that_is_stopped_and_resumed_in_a_load_spoils_nothing() -> Result<()> {
    let load = Load::new(submissions_per_fault()?);
    world()
        .executors(2)
        .play(async |world| {
            let user = world.user("student-17")?;
            let fault = async {
                load.reaches(25).await;
                world.signal("executor", Signal::STOP)?;
                // The other executor goes on with the submissions that this one does not hold.
                load.reaches(60).await;
                world.signal("executor", Signal::CONT)
            };
            let (seen, ()) = try_join(load.run(&user), fault).await?;
            Audit::settled(world, &promises(&seen)).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn a_frozen_executor_that_comes_back_is_fenced_off() -> Result<()> {
    world()
        .executors(2)
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = begun(&user, "import time\ntime.sleep(4)\nprint('done')", 1).await?;
            let frozen = holder(world, &submitted).await?;
            world.signal(&frozen, Signal::STOP)?;
            // Its connection ends with the server, so the other executor gets no answer from a
            // holder.
            world.kill("nats")?;
            world.start("nats").await?;
            running(&user, &submitted, 2).await?;
            // Its program has ended meanwhile or goes on in its cell. Either way its outcome must
            // not be stored.
            world.signal(&frozen, Signal::CONT)?;

            let view = user.ended(&submitted).await?;
            expect(&view, &json!({ "verdict": "finished", "attempt": 2, "stdout": "done\n" }))?;
            world.ready(&frozen).await?;
            let next = user.submit(&python("print('next')")).await?;
            user.ended(&next).await?;
            Audit::settled(world, &[submitted, next]).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn a_submission_that_the_queue_has_forgotten_is_run_all_the_same() -> Result<()> {
    world()
        .setting("EXECUTOR__SETTLE_AFTER_S", 1)
        .play(async |world| {
            let user = world.user("student-17")?;
            // The executor has made the queue by then.
            let before = user.submit(&python("print('before')")).await?;
            user.ended(&before).await?;
            world.stop("executor").await?;
            let forgotten = user.submit(&python("print('forgotten')")).await?;
            acknowledge_by_hand(world).await?;
            world.start("executor").await?;

            // The queue goes on without it.
            let after = user.submit(&python("print('after')")).await?;
            user.ended(&after).await?;
            let view = user.ended(&forgotten).await?;
            expect(
                &view,
                &json!({ "verdict": "finished", "attempt": 1, "stdout": "forgotten\n" }),
            )?;
            Audit::settled(world, &[before, forgotten, after]).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn a_durable_that_was_removed_or_changed_is_put_right_and_runs_nothing_twice() -> Result<()> {
    world()
        .setting("QUEUES__CHECK_EVERY_S", 1)
        .play(async |world| {
            let user = world.user("student-17")?;
            let before = user.submit(&python("print('before')")).await?;
            user.ended(&before).await?;

            let stream = jetstream::new(world.nats_client("provisioner").await?);
            let stream = stream.get_stream(LEDGER_STREAM).await?;
            stream.delete_consumer(DURABLE).await?;
            let during = user.submit(&python("print('during')")).await?;
            user.ended(&during).await?;

            let as_made = stream.consumer_info(DURABLE).await?.config;
            let changed = consumer::Config { max_ack_pending: 1, ..as_made.clone() };
            stream.update_consumer(changed).await?;
            wait_until("the durable is mended", Duration::from_mins(1), async || {
                let config = stream.consumer_info(DURABLE).await?.config;
                ensure!(config == as_made, "{config:?}");
                Ok(())
            })
            .await?;
            let after = user.submit(&python("print('after')")).await?;
            user.ended(&after).await?;
            Audit::settled(world, &[before, during, after]).await.map(drop)
        })
        .await
}

/// Takes the next submission off the queue, as an operator can with the NATS CLI.
async fn acknowledge_by_hand(world: &World) -> Result<()> {
    let client = world.nats_client("executor").await?;
    let stream = jetstream::new(client).get_stream(LEDGER_STREAM).await?;
    let queue = stream.get_consumer::<pull::Config>(DURABLE).await;
    let queue = queue.map_err(Error::from_boxed)?;
    let mut messages = queue.fetch().max_messages(1).messages().await?;
    let message = messages.next().await.context("the queue is empty")?;
    message.map_err(Error::from_boxed)?.double_ack().await.map_err(Error::from_boxed)
}

/// A program whose attempt has begun once this returns.
async fn begun(user: &TestClient, source: &str, attempt: u64) -> Result<Submitted> {
    let submitted = user.submit(&python(source)).await?;
    running(user, &submitted, attempt).await?;
    Ok(submitted)
}

async fn running(user: &TestClient, submitted: &Submitted, attempt: u64) -> Result<()> {
    wait_until("the attempt has begun", Duration::from_mins(1), async || {
        let view = user.show(submitted).await?;
        ensure!(view["state"] == "running" && view["attempt"] == attempt, "{view}");
        Ok(())
    })
    .await
}

/// Returns the executor that runs a submission.
async fn holder(world: &World, submitted: &Submitted) -> Result<String> {
    let audit = Audit::read(world).await?;
    let attempt =
        audit.submission(&submitted.id)?.running_attempt().context("no executor runs it")?;
    Ok(attempt.executor.to_string())
}
