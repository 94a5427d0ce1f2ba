//! Lists of submissions: pages, filters and what each entry shows.

use anyhow::{Context, Result, ensure};
use blackbox::client::TestClient;
use blackbox::programs::{c, python};
use serde_json::json;

use super::{SUBMISSIONS, cancel, caught_up, queueing, running};

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
