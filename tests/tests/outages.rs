//! What clients get while a server is down: 503 with Retry-After, nothing half done, and
//! reads that go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::{Reply, TestClient};
use blackbox::programs::{expect, python};
use blackbox::wait::wait_until;
use blackbox::world::{World, WorldBuilder};
use serde_json::json;

const SUBMISSIONS: &str = "/v1/submissions";

fn expect_later(answer: &Reply) -> Result<()> {
    answer.expect_problem(503, "unavailable")?;
    let seconds: Option<u32> = answer.header("retry-after").and_then(|text| text.parse().ok());
    ensure!(
        seconds.is_some_and(|seconds| (1..=120).contains(&seconds)),
        "no time to come back: {answer:?}"
    );
    Ok(())
}

async fn unready(world: &World, service: &str) -> Result<()> {
    let inside = TestClient::new(&world.service(service)?.url(), None)?;
    wait_until("the service knows that it is not ready", Duration::from_secs(30), async || {
        let status = inside.get("/health/ready").await?.status;
        ensure!(status == 503, "/health/ready answers {status}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_nats_nothing_is_accepted_and_nothing_is_half_done() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let before = user.submit(&python("print('before')")).await?;
            let ended = user.ended(&before).await?;
            Audit::settled(world, std::slice::from_ref(&before)).await?;
            world.kill("nats")?;
            // A request that is sent before the service knows that the connection is lost may still
            // arrive later: `faults.rs` tests that unknown answer. From here on nothing is sent.
            unready(world, "command-api").await?;

            let body = python("print('keyed')");
            expect_later(&user.post(SUBMISSIONS, &python("print('lost')")).await?)?;
            expect_later(&user.submit_keyed(&body, "again").await?)?;
            expect_later(
                &user.post(&format!("{SUBMISSIONS}/{}/cancel", before.id), &json!({})).await?,
            )?;
            // The API still serves what the view has.
            ensure!(
                user.get(&format!("{SUBMISSIONS}/{}", before.id)).await?.ok()? == ended,
                "the view has changed"
            );
            user.get(SUBMISSIONS).await?.ok()?;
            expect_later(&user.get("/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b").await?)?;

            world.start("nats").await?;
            world.all_ready().await?;
            let again = user.submit_keyed(&body, "again").await?.submitted()?;
            user.ended(&again).await?;
            // The ledger has nothing of the requests that failed, and one submission of the
            // repeated one.
            Audit::settled(world, &[before, again]).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn a_service_that_is_away_is_told_by_the_edge_and_the_other_side_goes_on() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            user.ended(&submitted).await?;

            world.kill("command-api")?;
            expect_later(&user.post(SUBMISSIONS, &python("print(2)")).await?)?;
            user.get(&format!("{SUBMISSIONS}/{}", submitted.id)).await?.ok()?;
            world.start("command-api").await?;

            world.kill("query-api")?;
            expect_later(&user.get(SUBMISSIONS).await?)?;
            let blind = user.submit(&python("print(3)")).await?;
            world.start("query-api").await?;
            user.ended(&blind).await?;
            Audit::settled(world, &[submitted, blind]).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn without_postgres_single_submissions_are_served_and_lists_are_not() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .private_databases()
        .play(async |world| {
            let user = world.user("student-17")?;
            let before = user.submit(&python("print('before')")).await?;
            let ended = user.ended(&before).await?;
            Audit::settled(world, std::slice::from_ref(&before)).await?;
            world.kill("postgres")?;

            let view = user.get(&format!("{SUBMISSIONS}/{}", before.id)).await?.ok()?;
            ensure!(view == ended, "the fold says something else than the view: {view} {ended}");
            expect_later(&user.get(SUBMISSIONS).await?)?;
            let during = user.submit(&python("print('during')")).await?;
            expect(
                &user.ended(&during).await?,
                &json!({ "verdict": "finished", "stdout": "during\n" }),
            )?;
            let path = format!("{SUBMISSIONS}/{}/events", during.id);
            ensure!(user.get(&path).await?.ok()?.as_array().map(Vec::len) == Some(3), "no record");
            user.get("/v1/users/me/progress").await?.ok()?;

            world.start("postgres").await?;
            Audit::settled(world, &[before, during]).await?;
            wait_until("lists are served again", Duration::from_secs(30), async || {
                let list = user.get(SUBMISSIONS).await?.ok()?;
                ensure!(list["items"].as_array().map(Vec::len) == Some(2), "{list}");
                Ok(())
            })
            .await
        })
        .await
}

#[tokio::test]
async fn without_mongodb_only_progress_is_away() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .private_databases()
        .play(async |world| {
            let user = world.user("student-17")?;
            world.kill("mongod")?;
            let during = user.submit(&python("print('during')")).await?;
            expect(&user.ended(&during).await?, &json!({ "verdict": "finished" }))?;
            expect_later(&user.get("/v1/users/me/progress").await?)?;
            user.get(SUBMISSIONS).await?.ok()?;

            world.start("mongod").await?;
            Audit::settled(world, &[during]).await?;
            let progress = user.get("/v1/users/me/progress").await?.ok()?;
            expect(&progress["submissions"], &json!({ "run": 1, "submit": 0 }))
        })
        .await
}
