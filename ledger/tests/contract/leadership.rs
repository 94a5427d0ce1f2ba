//! Leading: one process at a time, until it does not say so any more.

use async_nats::jetstream;
use servers::testing::NatsServer;

use crate::common::connect;

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
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("KV_LEADERS").await.unwrap();
    stream.purge().filter("$KV.LEADERS.part").await.unwrap();
    assert!(second.hold().await.unwrap());
    // The one that led finds that it does not, and must wait like any other.
    assert!(!first.hold().await.unwrap());
    assert!(!first.hold().await.unwrap());
    assert!(second.hold().await.unwrap());
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
