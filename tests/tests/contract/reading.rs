//! Reading one submission: entity tags, caching and long polls.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use blackbox::programs::{expect, python};
use futures::future::try_join;
use reqwest::Method;
use serde_json::json;

use super::{begun, cancel, of, queueing, running};

#[tokio::test]
async fn a_finished_submission_may_be_kept_for_ever_and_an_open_one_is_asked_about() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            user.ended(&submitted).await?;

            for path in [of(&submitted), format!("{}/events", of(&submitted))] {
                let first = user.get(&path).await?;
                let tag = first.header("etag").context("no etag")?.to_owned();
                let control = first.header("cache-control").unwrap_or_default();
                ensure!(
                    control.contains("immutable") && control.contains("private"),
                    "{path}: {control}"
                );
                let known = user.send(Method::GET, &path, &[("if-none-match", &tag)], None).await?;
                ensure!(known.status == 304 && known.json.is_null(), "{path}: {known:?}");
                ensure!(known.header("etag") == Some(&tag), "{path}: {known:?}");
                let other =
                    user.send(Method::GET, &path, &[("if-none-match", "\"other\"")], None).await?;
                ensure!(other.ok()? == first.json, "{path} answers differently");
            }

            let open = begun(&user, "import time\ntime.sleep(30)").await?;
            let control =
                user.get(&of(&open)).await?.header("cache-control").unwrap_or_default().to_owned();
            ensure!(control.contains("no-cache"), "{control}");
            cancel(&user, &open).await?.submitted().map(drop)
        })
        .await
}

#[tokio::test]
async fn a_tag_changes_with_the_submission() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            let before =
                user.get(&format!("{}?min_seq={}", of(&submitted), submitted.sequence)).await?;
            let tag = before.header("etag").context("no etag")?.to_owned();
            let cancelled = cancel(&user, &submitted).await?.submitted()?;

            let path = format!("{}?min_seq={}", of(&submitted), cancelled.sequence);
            let after = user.send(Method::GET, &path, &[("if-none-match", &tag)], None).await?;
            ensure!(after.header("etag") != Some(&tag), "{after:?}");
            expect(&after.ok()?, &json!({ "state": "cancelled" }))
        })
        .await
}

#[tokio::test]
async fn a_poll_is_held_until_the_state_changes() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            let path = format!("{}?min_seq={}", of(&submitted), submitted.sequence);

            let begun = Instant::now();
            let view = user.get(&format!("{path}&wait=1")).await?.ok()?;
            let waited = begun.elapsed();
            expect(&view, &json!({ "state": "accepted" }))?;
            ensure!(
                waited >= Duration::from_secs(1),
                "nothing changed, yet it answered after {waited:?}"
            );

            let begun = Instant::now();
            let poll = async { user.get(&format!("{path}&wait=30")).await?.ok() };
            let (view, cancelled) = try_join(poll, cancel(&user, &submitted)).await?;
            cancelled.submitted()?;
            // The request to cancel and the end are two events, and each is a change.
            ensure!(view["state"] == "cancelling" || view["state"] == "cancelled", "{view}");
            ensure!(
                begun.elapsed() < Duration::from_secs(15),
                "the change was told after {:?}",
                begun.elapsed()
            );
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_poll_of_what_has_ended_is_not_held() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            user.ended(&submitted).await?;
            let begun = Instant::now();
            user.get(&format!("{}?wait=30", of(&submitted))).await?.ok()?;
            ensure!(
                begun.elapsed() < Duration::from_secs(10),
                "it was held for {:?}",
                begun.elapsed()
            );
            Ok(())
        })
        .await
}
