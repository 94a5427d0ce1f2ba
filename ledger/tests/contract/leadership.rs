//! Leading: one process at a time, until it does not say so any more.

use async_nats::jetstream;
use servers::testing::NatsServer;

use crate::common::{connect, tester};

#[tokio::test]
async fn one_process_leads_until_its_entry_is_gone() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let [first, second] =
        ["first", "second"].map(|name| connection.leadership("part".to_owned(), name.to_owned()));
    assert!(first.hold().await.unwrap());
    assert!(!second.hold().await.unwrap());
    assert!(first.hold().await.unwrap());
    // Another part has another leader.
    assert!(connection.leadership("other".to_owned(), "second".to_owned()).hold().await.unwrap());
    // As when it has expired.
    let client = tester(&server).await;
    let stream = jetstream::new(client).get_stream("KV_LEADERS").await.unwrap();
    stream.purge().filter("$KV.LEADERS.part").await.unwrap();
    assert!(second.hold().await.unwrap());
    // The one that led finds that it does not, and must wait like any other.
    assert!(!first.hold().await.unwrap());
    assert!(!first.hold().await.unwrap());
    assert!(second.hold().await.unwrap());
}

#[tokio::test]
async fn an_answer_that_was_lost_does_not_cost_the_lead() {
    let server = NatsServer::start().await;
    let leadership = connect(&server).await.leadership("part".to_owned(), "first".to_owned());
    let bucket = jetstream::new(tester(&server).await).get_key_value("LEADERS").await.unwrap();
    // An entry of its own that it does not know of, at the first try and at a later one.
    for _ in 0..2 {
        bucket.put("part", "first".into()).await.unwrap();
        assert!(leadership.hold().await.unwrap());
    }
    bucket.put("part", "second".into()).await.unwrap();
    assert!(!leadership.hold().await.unwrap());
}

#[tokio::test]
async fn processes_that_try_at_once_agree_on_one() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let tries = (0..8).map(|number| {
        let leadership = connection.leadership("part".to_owned(), number.to_string());
        async move { leadership.hold().await.unwrap() }
    });
    let led = futures::future::join_all(tries).await;
    assert_eq!(led.iter().filter(|led| **led).count(), 1);
}

#[tokio::test]
async fn a_process_that_gives_the_lead_away_is_followed_at_once() {
    let server = NatsServer::start().await;
    let connection = connect(&server).await;
    let [first, second] =
        ["first", "second"].map(|name| connection.leadership("part".to_owned(), name.to_owned()));
    first.gain().await;
    // Not its own to give away.
    second.release().await;
    assert!(first.hold().await.unwrap());
    first.release().await;
    assert!(second.hold().await.unwrap());
    assert!(!first.hold().await.unwrap());
}
