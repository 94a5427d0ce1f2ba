//! Tests of the auditor: it notices each fault that it has to notice. Without these tests, a green
//! run of the others would mean little.

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use blackbox::audit::Audit;
use blackbox::client::Submitted;
use blackbox::programs::python;
use blackbox::servers::mongo;
use blackbox::world::{World, WorldBuilder};
use events::envelope::Writer;
use events::event::{CancellationRequested, Cancelled, Compiled};
use events::{BootId, Captured, Envelope, Event, Exit, Family, Recorded, Usage};
use mongodb::bson::{Document, doc};
use sqlx::{Connection as _, Executor as _, PgConnection};

/// Plays a scenario on a world with one submission that has ended without a fault.
async fn play(scenario: impl AsyncFnOnce(&World, &[Submitted]) -> Result<()>) -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let mut body = python("print(int(input()) + 1)");
            body["cases"] = serde_json::json!([{ "stdin": "1", "expected": "2" }]);
            let submitted = user.submit(&body).await?;
            user.ended(&submitted).await?;
            let submitted = [submitted];
            Audit::settled(world, &submitted).await?;
            scenario(world, &submitted).await
        })
        .await
}

/// Checks that the audit fails with this finding.
async fn expect_finding(world: &World, submitted: &[Submitted], finding: &str) -> Result<()> {
    let error =
        Audit::settled(world, submitted).await.err().context("the audit has found nothing")?;
    let text = format!("{error:#}");
    ensure!(text.contains(finding), "the audit has found something else than {finding:?}: {text}");
    Ok(())
}

#[tokio::test]
async fn a_changed_row_is_noticed() -> Result<()> {
    play(async |world, submitted| {
        let mut postgres = PgConnection::connect(&world.postgres().url()?).await?;
        for (change, undo, finding) in [
            (
                "update submissions set verdict = 'wrong_answer'",
                "update submissions set verdict = 'accepted'",
                "results_submissions differs",
            ),
            (
                "update attempts set executor = 'x'",
                "update attempts set executor = 'executor'",
                "results_attempts differs",
            ),
            (
                "update case_results set points = 7",
                "update case_results set points = 1",
                "results_case_results differs",
            ),
        ] {
            postgres.execute(change).await?;
            expect_finding(world, submitted, finding).await?;
            postgres.execute(undo).await?;
        }
        Audit::settled(world, submitted).await?;
        postgres.execute("delete from case_results").await?;
        expect_finding(world, submitted, "results_case_results has 0 rows, the fold 1").await
    })
    .await
}

#[tokio::test]
async fn a_changed_document_is_noticed() -> Result<()> {
    play(async |world, submitted| {
        let database = mongo::connect(world.mongo().url()).await?.database(&world.mongo().database);
        let users = database.collection::<Document>("progress_v1");
        users.update_many(doc! {}, doc! { "$inc": { "submissions.submit": 1_i64 } }).await?;
        expect_finding(world, submitted, "progress_v1 of student-17: submissions is").await?;
        users.update_many(doc! {}, doc! { "$inc": { "submissions.submit": -1_i64 } }).await?;
        Audit::settled(world, submitted).await?;
        database.collection::<Document>("progress_solved_v1").delete_many(doc! {}).await?;
        expect_finding(world, submitted, "progress_solved_v1 has no student-17").await
    })
    .await
}

#[tokio::test]
async fn a_promise_without_a_submission_and_a_submission_without_a_promise_are_noticed()
-> Result<()> {
    play(async |world, submitted| {
        let absent = Submitted {
            id: "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".to_owned(),
            sequence: 9,
            state: "accepted".to_owned(),
        };
        let with_another: Vec<Submitted> = submitted.iter().cloned().chain([absent]).collect();
        expect_finding(world, &with_another, "is not in the ledger").await?;
        expect_finding(world, &[], "was promised to no client").await
    })
    .await
}

/// Writes an event into the ledger past every rule, as an attacker with a NATS client could.
async fn forge(world: &World, submitted: &Submitted, writer: BootId, event: Event) -> Result<()> {
    let audit = Audit::read(world).await?;
    let last = audit
        .messages
        .iter()
        .rev()
        .find(|message| message.recorded.envelope.submission.to_string() == submitted.id);
    let last = last.context("no event")?;
    let writer = Writer {
        source: "/forger".to_owned(),
        actor: "user:student-42".to_owned(),
        instance: writer,
        traceparent: None,
    };
    let Recorded { envelope, stored_at, .. } = &last.recorded;
    let (_, forged) = Envelope::write(
        envelope.submission,
        event,
        &writer,
        Some(last.recorded.as_predecessor()),
        *stored_at,
    );
    let subject = last.subject.parse::<events::Subject>()?.in_family(Family::Outcome);
    let context = jetstream::new(world.nats_client("executor").await?);
    context.publish(subject.to_string(), forged.into()).await?.await?;
    Ok(())
}

fn foreign_life() -> Result<BootId> {
    Ok("0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".parse()?)
}

#[tokio::test]
async fn a_second_end_is_noticed() -> Result<()> {
    play(async |world, submitted| {
        let submission = submitted.first().context("one submission")?;
        let cancelled = Event::Cancelled(Cancelled { by: "user:student-42".to_owned() });
        forge(world, submission, foreign_life()?, cancelled).await?;
        expect_finding(world, submitted, "has 1 illegal events").await
    })
    .await
}

#[tokio::test]
async fn an_end_that_is_missing_is_noticed() -> Result<()> {
    WorldBuilder::default()
        .executors(0)
        .edge()
        .play(async |world| {
            let submitted = [world.user("student-17")?.submit(&python("print(1)")).await?];
            expect_finding(world, &submitted, "has 0 ends").await?;
            let asked = CancellationRequested { by: "user:student-17".to_owned(), reason: None };
            let [submission] = &submitted;
            forge(world, submission, foreign_life()?, Event::CancellationRequested(asked)).await?;
            expect_finding(world, &submitted, "has 0 ends").await
        })
        .await
}

#[tokio::test]
async fn an_outcome_from_another_life_than_the_attempts_is_noticed() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("import time\ntime.sleep(5)")).await?;
            while user.show(&submitted).await?["state"] != "running" {
                tokio::task::yield_now().await;
            }
            let compiled = Event::Compiled(Compiled {
                attempt: 1,
                ok: true,
                exit: Exit::Code(0),
                output: Captured::default(),
                usage: Usage::default(),
            });
            forge(world, &submitted, foreign_life()?, compiled).await?;
            expect_finding(world, &[submitted], "attempt 1 was reported by another life").await
        })
        .await
}
