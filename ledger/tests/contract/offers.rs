//! Offers: what executors have is known to every reader, with its time, over restarts and whatever
//! else lies in the bucket.

use std::time::Duration;

use async_nats::jetstream;
use events::BootId;
use ledger::{Connection, KnownOffers, LanguageOffer};
use servers::testing::NatsServer;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::common::{clock, connect, fresh_uuid, open_as, pool, tester};

const PATIENCE: Duration = Duration::from_secs(20);

fn python(version: &str) -> LanguageOffer {
    LanguageOffer { slug: "python".parse().unwrap(), version: version.to_owned(), pool: pool() }
}

/// A task that ends with the test, or earlier.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no service whose tracker could wait")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Running {
    Running(tokio::spawn(task))
}

/// An executor that offers one language until it is dropped.
fn executor(connection: &Connection, version: &str) -> Running {
    let (offers, language) = (connection.offers(), python(version));
    spawn(async move {
        let boot = BootId::new(fresh_uuid());
        match offers.keep_putting(boot, vec![language]).await {}
    })
}

/// A reader that knows nothing yet.
fn reader(connection: &Connection) -> (KnownOffers, Running) {
    let (offers, known) = (connection.offers(), KnownOffers::new(clock()));
    let watched = known.clone();
    (known, spawn(async move { match offers.watch(&watched).await {} }))
}

/// Waits until a condition holds, or fails.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, held).await.expect(what);
}

async fn until_known(known: &KnownOffers, version: &str) {
    until(version, || known.last_had(&python(version)).is_some()).await;
}

#[tokio::test]
async fn what_executors_have_is_known_and_remembered_after_one_ends() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let (known, _watch) = reader(&open_as(&server.url(), "command-api").await);
    until("an empty bucket is read", || known.has_looked()).await;
    assert_eq!(known.last_had(&python("3.11")), None);
    let ends = executor(&connection, "3.11");
    until_known(&known, "3.11").await;
    drop(ends);
    let _lives = executor(&connection, "3.12");
    until_known(&known, "3.12").await;
    let (ended, lives) = (known.last_had(&python("3.11")), known.last_had(&python("3.12")));
    assert!(ended > lives, "{ended:?} {lives:?}");
    assert_eq!(known.last_had(&python("3.13")), None);
    // One who comes later knows the same.
    let (late, _watch) = reader(&connection);
    until("the bucket is read", || late.has_looked()).await;
    assert!(late.last_had(&python("3.11")) > late.last_had(&python("3.12")));
}

#[tokio::test]
async fn offers_and_watches_outlive_a_restart_of_the_server() {
    let mut server = NatsServer::start().await;
    let connection = connect(&server).await;
    let (known, _watch) = reader(&connection);
    let ends = executor(&connection, "3.11");
    until_known(&known, "3.11").await;
    drop(ends);
    server.restart().await;
    let (late, _watch) = reader(&connection);
    until_known(&late, "3.11").await;
    let _begins = executor(&connection, "3.12");
    until_known(&known, "3.12").await;
    assert!(known.last_had(&python("3.11")).is_some());
}

#[tokio::test]
async fn a_bucket_that_comes_later_is_found() {
    let server = NatsServer::start().await;
    let early = open_as(&server.url(), "executor").await;
    let (known, _watch) = reader(&early);
    let _executor = executor(&early, "3.11");
    connect(&server).await;
    until_known(&known, "3.11").await;
}

#[tokio::test]
async fn foreign_bytes_hide_no_offer() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let client = tester(&server).await;
    let bucket = jetstream::new(client).get_key_value("OFFERS").await.unwrap();
    for (key, value) in [
        ("a", "not JSON"),
        ("b", r#"{"languages": [{"slug": "Not A Token", "version": "1", "pool": "core"}]}"#),
        ("c", ""),
    ] {
        bucket.put(key, value.into()).await.unwrap();
    }
    // What a newer executor may say besides is no reason to skip what we understand.
    let newer =
        r#"{"languages": [{"slug": "python", "version": "3.13", "pool": "core", "x": 1}], "y": 2}"#;
    bucket.put("d", newer.into()).await.unwrap();
    bucket.delete("c").await.unwrap();
    let _executor = executor(&connection, "3.11");
    let (known, _watch) = reader(&connection);
    until_known(&known, "3.11").await;
    until_known(&known, "3.13").await;
    assert!(known.has_looked());
}
