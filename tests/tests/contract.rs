//! What the HTTP API promises to a well-behaved client: identity, idempotency, caching, waiting,
//! cancelling, lists.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::{Reply, Submitted, TestClient};
use blackbox::programs::{c, expect, python, text};
use blackbox::world::{World, WorldBuilder};
use futures::future::{join_all, try_join};
use reqwest::Method;
use serde_json::{Value, json};

const SUBMISSIONS: &str = "/v1/submissions";

/// A world where submissions stay in the queue.
fn queueing() -> WorldBuilder {
    WorldBuilder::default().executors(0).edge()
}

/// A world that runs submissions.
fn running() -> WorldBuilder {
    WorldBuilder::default().edge()
}

fn of(submitted: &Submitted) -> String {
    format!("{SUBMISSIONS}/{}", submitted.id)
}

async fn cancel(user: &TestClient, submitted: &Submitted) -> Result<Reply> {
    user.post(&format!("{}/cancel", of(submitted)), &json!({ "reason": "enough" })).await
}

/// A program that has begun once this returns.
async fn begun(user: &TestClient, source: &str) -> Result<Submitted> {
    has_begun(user, &python(source)).await
}

/// Submits, and returns once the program has begun.
async fn has_begun(user: &TestClient, body: &Value) -> Result<Submitted> {
    let submitted = user.submit(body).await?;
    for _ in 0..10 {
        let path = format!("{}?wait=5&min_seq={}", of(&submitted), submitted.sequence);
        if user.get(&path).await?.ok()?["state"] == "running" {
            return Ok(submitted);
        }
    }
    anyhow::bail!("it has not begun")
}

#[tokio::test]
async fn a_submission_is_answered_with_where_it_is() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let answer = user.post(SUBMISSIONS, &python("print(1)")).await?;
            let submitted = answer.submitted()?;

            let itself = of(&submitted);
            ensure!(answer.header("location") == Some(&itself), "{answer:?}");
            let links = json!({ "self": itself, "events": format!("{itself}/events"), "cancel": format!("{itself}/cancel") });
            expect(&answer.json, &json!({ "state": "accepted", "sequence": 1, "links": links }))?;
            let view = user.get(&format!("{itself}?min_seq=1")).await?.ok()?;
            expect(
                &view,
                &json!({
                    "id": submitted.id, "state": "accepted", "verdict": null, "lane": "run", "attempt": 0, "stdout": null,
                    "stderr": null, "compile_output": null, "usage": null, "cases": [], "score": null, "sequence": 1,
                    "started_at": null, "finished_at": null, "exit_code": null, "image_digest": null, "isolation": null,
                }),
            )
        })
        .await
}

#[tokio::test]
async fn a_reader_who_knows_the_sequence_never_gets_a_404_nor_an_older_state() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            // The view is behind each time, since the submission was accepted just now.
            for _ in 0..20 {
                let submitted = user.submit(&python("print(1)")).await?;
                let view = user.show(&submitted).await?;
                ensure!(view["sequence"].as_u64() >= Some(submitted.sequence), "{view}");
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn another_users_submission_does_not_exist_for_those_without_the_scope() -> Result<()> {
    running()
        .play(async |world| {
            let (student, stranger) = (world.user("student-17")?, world.user("student-42")?);
            let submitted = student.submit(&python("print('secret')")).await?;
            student.ended(&submitted).await?;
            let absent = "/v1/submissions/0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";

            for path in [
                of(&submitted),
                format!("{}/events", of(&submitted)),
                format!("{}?wait=5", of(&submitted)),
            ] {
                stranger
                    .get(&path)
                    .await?
                    .expect_problem(404, "not-found")
                    .with_context(|| path.clone())?;
            }
            cancel(&stranger, &submitted).await?.expect_problem(404, "not-found")?;
            // The answer is the same as for a submission that does not exist.
            let (theirs, none) =
                try_join(stranger.get(&of(&submitted)), stranger.get(absent)).await?;
            ensure!(
                theirs.json["detail"] == none.json["detail"]
                    && theirs.json["title"] == none.json["title"],
                "they differ"
            );
            ensure!(
                stranger.get(SUBMISSIONS).await?.ok()?["items"] == json!([]),
                "the list shows submissions of another user"
            );

            for scope in ["read:any", "admin"] {
                let reader = world.client("root", scope)?;
                ensure!(
                    text(&reader.get(&of(&submitted)).await?.ok()?, "stdout")? == "secret\n",
                    "{scope}"
                );
                let list = reader.get(&format!("{SUBMISSIONS}?user=student")).await?.ok()?;
                ensure!(list["items"].as_array().map(Vec::len) == Some(1), "{scope}: {list}");
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn only_the_owner_and_an_admin_may_cancel() -> Result<()> {
    queueing()
        .play(async |world| {
            let student = world.user("student-17")?;
            let (one, other) = (
                student.submit(&python("print(1)")).await?,
                student.submit(&python("print(2)")).await?,
            );
            cancel(&world.client("root", "submit read:any")?, &one)
                .await?
                .expect_problem(404, "not-found")?;
            cancel(&world.client("student-17", "read:any")?, &one)
                .await?
                .expect_problem(403, "forbidden")?;
            cancel(&world.client("root", "admin")?, &one).await?.submitted()?;
            cancel(&student, &other).await?.submitted()?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn the_same_key_and_body_is_the_same_submission_and_another_body_is_refused() -> Result<()> {
    queueing()
        .play(async |world| {
            let (student, stranger) = (world.user("student-17")?, world.user("student-42")?);
            let body = python("print(1)");
            let first = student.submit_keyed(&body, "monday").await?.submitted()?;

            let again = student.submit_keyed(&body, "monday").await?;
            ensure!(
                again.submitted()? == first && again.header("location") == Some(&of(&first)),
                "{again:?}"
            );
            // The form of the JSON does not matter.
            let spelled = b"  {\"source\":\"print(1)\", \"language\" : \"py3\" }".to_vec();
            let headers = [("idempotency-key", "monday")];
            let again = student.send(Method::POST, SUBMISSIONS, &headers, Some(spelled)).await?;
            ensure!(
                again.submitted()? == first,
                "another spelling of the same request is another one: {again:?}"
            );

            let other = student.submit_keyed(&python("print(2)"), "monday").await?;
            other.expect_problem(422, "idempotency-key-reused")?;
            let theirs = stranger.submit_keyed(&body, "monday").await?.submitted()?;
            let second = student.submit_keyed(&body, "tuesday").await?.submitted()?;
            ensure!(theirs.id != first.id && second.id != first.id, "keys of others were mixed up");
            let audit = Audit::read(world).await?;
            ensure!(audit.messages.len() == 3, "{:?}", audit.messages);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn many_requests_with_one_key_at_once_are_one_submission() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let body = python("print(1)");
            for round in 0..5 {
                let key = format!("round {round}");
                let answers = join_all((0..8).map(|_| user.submit_keyed(&body, &key))).await;
                let ids: BTreeSet<Submitted> =
                    answers.into_iter().map(|answer| answer?.submitted()).collect::<Result<_>>()?;
                ensure!(ids.len() == 1, "{ids:?}");
            }
            ensure!(Audit::read(world).await?.messages.len() == 5, "more events than keys");
            Ok(())
        })
        .await
}

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

/// Returns the ids of every page of a list, page by page.
async fn pages(user: &TestClient, query: &str) -> Result<Vec<Vec<String>>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = user.get(&format!("{SUBMISSIONS}?{query}{cursor}")).await?.ok()?;
        let items = page["items"].as_array().context("no items")?;
        pages
            .push(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(pages),
        }
        ensure!(pages.len() <= 100, "the list has no end");
    }
}

/// Waits until the results view has the whole ledger.
async fn caught_up(world: &World) -> Result<()> {
    Audit::read(world).await?.check_views(world).await
}

#[tokio::test]
async fn a_list_comes_in_pages_newest_first_without_a_gap_or_a_repetition() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let mut ids = Vec::new();
            for number in 0..25 {
                ids.push(user.submit(&python(&format!("print({number})"))).await?.id);
            }
            world.user("student-42")?.submit(&python("print('hers')")).await?;
            caught_up(world).await?;
            ids.reverse();

            for (limit, lengths) in
                [(10, vec![10, 10, 5]), (25, vec![25]), (5, vec![5; 5]), (100, vec![25])]
            {
                let pages = pages(&user, &format!("limit={limit}")).await?;
                ensure!(
                    pages.iter().map(Vec::len).collect::<Vec<_>>() == lengths,
                    "{limit}: {pages:?}"
                );
                ensure!(pages.concat() == ids, "{limit}: another order than the newest first");
            }
            // A submission that arrives between two pages moves no entry.
            let first = user.get(&format!("{SUBMISSIONS}?limit=10")).await?.ok()?;
            user.submit(&python("print('new')")).await?;
            caught_up(world).await?;
            let cursor = first["next"].as_str().context("no second page")?;
            let second =
                user.get(&format!("{SUBMISSIONS}?limit=10&cursor={cursor}")).await?.ok()?;
            ensure!(second["items"][0]["id"] == json!(ids[10]), "{second}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_list_is_filtered_by_state_language_and_lane() -> Result<()> {
    queueing()
        .play(async |world| {
            let user = world.user("student-17")?;
            let run = user.submit(&python("print(1)")).await?;
            let in_c = user.submit(&c("int main(void) {}")).await?;
            let mut judged = python("print(1)");
            judged["cases"] = json!([{ "stdin": "", "expected": "1" }]);
            let judged = user.submit(&judged).await?;
            cancel(&user, &run).await?.submitted()?;
            caught_up(world).await?;

            for (query, expected) in [
                ("state=accepted", vec![&judged, &in_c]),
                ("state=cancelled", vec![&run]),
                ("state=running", vec![]),
                ("language=c", vec![&in_c]),
                ("language=py3", vec![&judged, &run]),
                ("lane=submit", vec![&judged]),
                ("lane=run&language=python&state=cancelled", vec![&run]),
                ("lane=submit&language=c", vec![]),
            ] {
                let expected: Vec<String> =
                    expected.into_iter().map(|one| one.id.clone()).collect();
                ensure!(pages(&user, query).await?.concat() == expected, "{query}");
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_list_shows_what_became_of_each() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let mut body = python("print(int(input()) + 1)");
            body["cases"] = json!([{ "stdin": "1", "expected": "2", "points": 3 }, { "stdin": "1", "expected": "3" }]);
            let ended = user.run(&body).await?;
            caught_up(world).await?;
            let list = user.get(SUBMISSIONS).await?.ok()?;
            let item = &list["items"][0];
            for member in ["id", "state", "verdict", "language", "lane", "accepted_at", "finished_at", "usage", "score", "sequence"] {
                ensure!(item[member] == ended[member] && !item[member].is_null(), "{member}: {item} {ended}");
            }
            Ok(())
        })
        .await
}

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

#[tokio::test]
async fn health_and_metrics_are_for_operators_and_not_at_the_edge() -> Result<()> {
    running()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print(1)")).await?;
            user.ended(&submitted).await?;
            for (service, checks) in [
                ("command-api", &["queue"][..]),
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
                ensure!(
                    metrics.contains("# HELP ") && metrics.contains("ledger_"),
                    "{service}: {metrics}"
                );
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
