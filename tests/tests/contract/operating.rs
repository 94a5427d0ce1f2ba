//! Languages, progress, request ids, health and metrics.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use blackbox::client::TestClient;
use blackbox::programs::{c, expect, python};
use reqwest::Method;
use serde_json::{Value, json};

use super::{caught_up, queueing, running};

#[tokio::test]
async fn the_languages_are_those_that_run() -> Result<()> {
    queueing()
        .play(async |world| {
            let answer = world.user("student-17")?.get("/v1/languages").await?.ok()?;
            let languages = answer["languages"].as_array().context("no languages")?;
            let slugs: BTreeSet<&str> =
                languages.iter().filter_map(|language| language["slug"].as_str()).collect();
            let expected = BTreeSet::from(["bash", "c", "cpp", "javascript", "python"]);
            ensure!(expected.is_subset(&slugs), "{answer}");
            for language in languages {
                let told = ["name", "version", "source_file"]
                    .iter()
                    .all(|name| language[name].is_string());
                ensure!(
                    told && language["aliases"].is_array() && language["extensions"].is_array(),
                    "{language}"
                );
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn progress_counts_what_a_user_has_done() -> Result<()> {
    running()
        .play(async |world| {
            let (student, stranger) = (world.user("student-17")?, world.user("student-42")?);
            let mut right = python("print(int(input()) + 1)");
            right["cases"] = json!([{ "stdin": "1", "expected": "2", "points": 5 }]);
            let mut wrong = python("print(0)");
            wrong["cases"] = right["cases"].clone();
            student.run(&wrong).await?;
            student.run(&right).await?;
            student.run(&right).await?;
            student.run(&c("int main(")).await?;
            caught_up(world).await?;

            let progress = student.get("/v1/users/me/progress").await?.ok()?;
            expect(
                &progress,
                &json!({
                    "user": "student-17", "submissions": { "run": 1, "submit": 3 }, "failed": 0, "cancelled": 0,
                    "languages": { "python": 3, "c": 1 },
                }),
            )?;
            expect(&progress["verdicts"]["run"], &json!({ "compile_error": 1 }))?;
            expect(&progress["verdicts"]["submit"], &json!({ "accepted": 2, "wrong_answer": 1 }))?;
            expect(&progress["solved"], &json!({ "suites": 1, "submissions": 2 }))?;
            expect(&progress["streak"], &json!({ "current": 1, "longest": 1 }))?;
            let recent: Vec<&Value> =
                progress["recent"].as_array().context("no recent")?.iter().map(|one| &one["verdict"]).collect();
            ensure!(recent == ["compile_error", "accepted", "accepted", "wrong_answer"], "{progress}");

            let nothing = stranger.get("/v1/users/me/progress").await?.ok()?;
            expect(&nothing, &json!({ "submissions": { "run": 0, "submit": 0 }, "recent": [] }))
        })
        .await
}

#[tokio::test]
async fn a_request_id_is_kept_or_made_and_told() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let path = "/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";
            let kept = user.send(Method::GET, path, &[("x-request-id", "mine-7")], None).await?;
            ensure!(kept.json["request_id"] == "mine-7", "{kept:?}");
            let odd =
                user.send(Method::GET, path, &[("x-request-id", "two words\"")], None).await?;
            ensure!(odd.json["request_id"] != "two words\"", "{odd:?}");
            let made = user.get(path).await?;
            ensure!(made.json["request_id"].as_str().is_some_and(|id| id.len() >= 16), "{made:?}");
            ensure!(made.header("x-request-id") == made.json["request_id"].as_str(), "{made:?}");
            Ok(())
        })
        .await
}

/// Returns the metrics of which a text in the Prometheus format has values and no sentence.
fn undescribed(metrics: &str) -> Vec<&str> {
    let name = |line: &'static str| {
        metrics.lines().filter_map(move |it| it.strip_prefix(line)?.split(' ').next())
    };
    let described: BTreeSet<&str> = name("# HELP ").collect();
    name("# TYPE ").filter(|name| !described.contains(name)).collect()
}

#[tokio::test]
async fn health_and_metrics_are_for_operators_and_not_at_the_edge() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            user.ended(&submitted).await?;
            for (service, checks) in [
                ("provisioner", &["streams"][..]),
                ("command-api", &["queue"]),
                ("query-api", &["db", "queue"]),
                ("executor", &["queue", "docker"]),
                ("projector", &["db", "queue"]),
            ] {
                let inside = TestClient::new(&world.service(service)?.url(), None)?;
                for check in ["live", "ready"].iter().chain(checks) {
                    let answer = inside.get(&format!("/health/{check}")).await?;
                    answer.ok().with_context(|| format!("{service} {check}"))?;
                }
                let metrics = reqwest::get(format!("{}/metrics", world.service(service)?.url()))
                    .await?
                    .text()
                    .await?;
                ensure!(metrics.contains("# HELP ledger_"), "{service}: {metrics}");
                let undescribed = undescribed(&metrics);
                ensure!(undescribed.is_empty(), "{service} does not describe {undescribed:?}");
                let known = [submitted.id.as_str(), "student-17"];
                let told = known.iter().find(|id| metrics.contains(**id));
                ensure!(told.is_none(), "{service} has {told:?} in its metrics");
            }
            for path in ["/metrics", "/health/ready", "/health/live"] {
                let answer = world.user("student-17")?.get(path).await?;
                ensure!(answer.status == 404, "{path} at the edge answers {}", answer.status);
            }
            Ok(())
        })
        .await
}
