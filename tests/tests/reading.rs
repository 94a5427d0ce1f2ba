//! What many readers at once cost: memory for large results, and ten thousand polls that wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use blackbox::client::Submitted;
use blackbox::programs::python;
use blackbox::wait::wait_until;
use blackbox::world::{World, WorldBuilder};
use futures::future::{try_join, try_join_all};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MIB: usize = 1_024 * 1_024;
/// Each of the two outputs of the large result. It is six times as long in JSON.
const OUTPUT_BYTES: usize = 4 * MIB;
/// Clients that read the large result at once.
const READERS: usize = 24;
/// What query-api may take for all of them. Whole, their answers would be 1.1 GiB.
const RESIDENT_KIB_MAX: u64 = 160 * 1_024;
/// Polls that wait at once.
const POLLS: usize = 10_000;
/// The submissions that they wait for.
const AWAITED: usize = 50;
/// Polls that are begun at the same moment.
const BEGUN_AT_ONCE: usize = 200;
/// How long things may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// Reads an answer to its end without keeping it, again while the server puts it off.
async fn read_whole(http: &reqwest::Client, url: &str, token: &str) -> Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut answer = http.get(url).bearer_auth(token).send().await?;
        if answer.status() == 200 {
            let mut length = 0;
            while let Some(piece) = answer.chunk().await? {
                length += piece.len();
            }
            return Ok(length);
        }
        ensure!(answer.status() == 503 && Instant::now() < deadline, "{answer:?}");
    }
}

#[tokio::test]
async fn many_readers_of_a_large_result_take_bounded_memory() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .setting("LARGE_OUTPUTS__MEMORY_KIB_MAX", 16 * 1_024)
        .play(async |world| {
            let user = world.user("student-17")?;
            let mut body = python(&format!(
                "import sys\nfor out in (sys.stdout, sys.stderr):\n  out.write('\\x01' * {OUTPUT_BYTES})"
            ));
            body["limits"] = json!({ "output_bytes": OUTPUT_BYTES });
            let submitted = user.submit(&body).await?;
            user.ended(&submitted).await?;

            let url =
                format!("{}/v1/submissions/{}", world.service("query-api")?.url(), submitted.id);
            let (http, token) =
                (reqwest::Client::new(), world.secret().token("student-17", "submit")?);
            let readers = (0..READERS).map(|_| read_whole(&http, &url, &token));
            for length in try_join_all(readers).await? {
                ensure!(length > 12 * OUTPUT_BYTES, "an answer has only {length} bytes");
            }
            let resident = world.resident_kib_max("query-api")?;
            ensure!(resident < RESIDENT_KIB_MAX, "query-api has had {resident} KiB");
            Ok(())
        })
        .await
}

/// Begins a poll that waits, on a connection of its own.
async fn begin_poll(address: &str, submitted: &Submitted, token: &str) -> Result<TcpStream> {
    let Submitted { id, sequence, .. } = submitted;
    let mut connection = TcpStream::connect(address).await.context("connect to the edge")?;
    let request = format!(
        "GET /v1/submissions/{id}?wait=30&min_seq={sequence} HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await?;
    Ok(connection)
}

/// Reads the answer to a poll, which must tell of the change.
async fn end_poll(mut connection: TcpStream) -> Result<()> {
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.context("read an answer")?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ensure!(answer.contains("\"state\":\"cancel"), "{answer}");
    Ok(())
}

/// Returns a metric of query-api without labels.
async fn metric(world: &World, name: &str) -> Result<String> {
    let (_, text) = world.asked("query-api", "/metrics").await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("there is no {name}"))?.to_owned())
}

#[tokio::test]
async fn ten_thousand_polls_wait_at_once_and_all_are_woken() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    WorldBuilder::default()
        .executors(0)
        .edge_with_workers()
        .play(async |world| {
            let user = world.user("student-17")?;
            let (program, token) =
                (python("print(1)"), world.secret().token("student-17", "submit")?);
            let submit = (0..AWAITED).map(|_| user.submit(&program));
            let awaited = try_join_all(submit).await?;
            let address = world.edge()?.address.clone();

            let begin = |number: usize| begin_poll(&address, &awaited[number % AWAITED], &token);
            let begun = stream::iter(0..POLLS).map(begin).buffer_unordered(BEGUN_AT_ONCE);
            let polls: Vec<TcpStream> = begun.try_collect().await?;
            wait_until("all polls wait", Duration::from_secs(20), async || {
                let waiting = metric(world, "ledger_submission_waiters").await?;
                ensure!(waiting == POLLS.to_string(), "{waiting} wait");
                Ok(())
            })
            .await?;

            let cancelling = awaited.iter().map(|submitted| async {
                let path = format!("/v1/submissions/{}/cancel", submitted.id);
                user.post(&path, &json!({})).await?.submitted()
            });
            try_join(try_join_all(polls.into_iter().map(end_poll)), try_join_all(cancelling))
                .await?;
            Ok(())
        })
        .await
}
