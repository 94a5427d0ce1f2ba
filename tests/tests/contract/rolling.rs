//! A deploy that touches a language, in both directions: what is accepted is run by an executor
//! that has it, and what no executor has is refused.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::programs::{c, expect, python};
use blackbox::wait::wait_until;
use blackbox::world::{World, WorldBuilder};
use serde_json::json;
use servers::testing::workspace_root;
use tempfile::NamedTempFile;

const LANGUAGES_FILE: &str = "LANGUAGES__FILE";

/// A table of languages in which Python has this version; the interpreter is the same in each.
fn table(version: &str) -> Result<NamedTempFile> {
    let table = std::fs::read_to_string(workspace_root().join("sandbox/languages.toml"))?;
    let (here, there) = ("version = \"3.11\"", format!("version = \"{version}\""));
    ensure!(table.contains(here), "Python has another version by now");
    let mut file = NamedTempFile::new()?;
    file.write_all(table.replace(here, &there).as_bytes())?;
    Ok(file)
}

/// Two executors with tables of their own, and all other services with the second one's.
fn rolling(lacking: &NamedTempFile, accepting: &NamedTempFile) -> WorldBuilder {
    let executor = |builder: WorldBuilder, number, table: &NamedTempFile| {
        builder.executor_setting(number, LANGUAGES_FILE, table.path().display())
    };
    let builder = WorldBuilder::default().executors(2).edge();
    let builder = builder.setting(LANGUAGES_FILE, accepting.path().display());
    executor(executor(builder, 1, lacking), 2, accepting)
}

async fn handed_on(world: &World) -> Result<()> {
    let url = format!("{}/metrics", world.service("executor")?.url());
    wait_until("the executor has handed it on", Duration::from_mins(1), async || {
        let metrics = reqwest::get(&url).await?.text().await?;
        let counted =
            metrics.lines().any(|line| line.starts_with("ledger_submissions_not_here_total "));
        ensure!(counted, "{metrics}");
        Ok(())
    })
    .await
}

/// Only the executor that lacks the accepted version is there when the submission comes. The other
/// one ends it when it is back.
async fn the_one_that_has_it_ends_it(lacking: &str, accepting: &str) -> Result<()> {
    let (lacked, accepted) = (table(lacking)?, table(accepting)?);
    rolling(&lacked, &accepted)
        .play(async |world| {
            let user = world.user("student-17")?;
            world.stop("executor-2").await?;
            let submitted = user.submit(&python("print('here')")).await?;
            handed_on(world).await?;
            expect(&user.show(&submitted).await?, &json!({ "state": "accepted", "attempt": 0 }))?;
            // What both have is run meanwhile.
            expect(
                &user.run(&c("int main(void) { return 0; }")).await?,
                &json!({ "verdict": "finished" }),
            )?;

            world.start("executor-2").await?;
            let ended = user.ended(&submitted).await?;
            let language = json!({ "slug": "python", "version": accepting });
            let expected = json!({
                "verdict": "finished", "stdout": "here\n", "language": language, "ran_version": accepting,
            });
            expect(&ended, &expected)?;
            let audit = Audit::read(world).await?;
            let attempts = &audit.submission(&submitted.id)?.attempts;
            let ran = attempts.first().context("no attempt")?;
            ensure!(ran.executor.as_str() == "executor-2", "{ran:?}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn an_old_executor_hands_a_new_version_on_to_a_new_one() -> Result<()> {
    the_one_that_has_it_ends_it("3.11", "3.12").await
}

#[tokio::test]
async fn a_new_executor_hands_the_old_version_on_to_an_old_one() -> Result<()> {
    the_one_that_has_it_ends_it("3.12", "3.11").await
}

#[tokio::test]
async fn a_version_that_no_executor_has_is_refused_and_all_else_is_accepted() -> Result<()> {
    let (old, new) = (table("3.11")?, table("3.12")?);
    WorldBuilder::default()
        .edge()
        .setting(LANGUAGES_FILE, new.path().display())
        .executor_setting(1, LANGUAGES_FILE, old.path().display())
        .play(async |world| {
            let user = world.user("student-17")?;
            let refused = user.post(super::SUBMISSIONS, &python("print(1)")).await?;
            refused.expect_problem(503, "not-offered")?;
            ensure!(refused.header("retry-after").is_some(), "{refused:?}");
            let ended = user.run(&c("int main(void) { return 0; }")).await?;
            expect(&ended, &json!({ "verdict": "finished" }))
        })
        .await
}
