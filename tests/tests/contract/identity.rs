//! Who sees and cancels a submission, and which requests are the same one.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::Submitted;
use blackbox::programs::{expect, python, text};
use futures::future::{join_all, try_join};
use reqwest::Method;
use serde_json::json;

use super::{SUBMISSIONS, cancel, of, queueing, running};

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
                let list = reader.get(&format!("{SUBMISSIONS}?user=student-17")).await?.ok()?;
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
