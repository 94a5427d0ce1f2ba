//! Provisioning: idempotent, never takes anything away, and never on a server that may forget.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use futures::future::join_all;
use ledger::testing::small_streams;
use ledger::{Connection, ProvisionError, StreamSettings};
use servers::testing::{NatsServer, ServerOptions};

async fn open(server: &NatsServer) -> (Connection, StreamSettings) {
    let connection = Connection::open(&server.url(), "test").await.unwrap();
    (connection, small_streams(1, vec![server.monitor_url()]))
}

async fn config_of(server: &NatsServer, name: &str) -> stream::Config {
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream(name).await.unwrap();
    stream.cached_info().config.clone()
}

#[tokio::test]
async fn many_services_provision_at_once_and_again() {
    let server = NatsServer::start().await;
    let (connection, settings) = open(&server).await;
    for _ in 0..2 {
        let services = (0..8).map(|_| connection.provision(&settings));
        for provisioned in join_all(services).await {
            provisioned.unwrap();
        }
    }
    let ledger = config_of(&server, LEDGER_STREAM).await;
    assert_eq!(ledger.subjects, LEDGER_SUBJECTS);
    assert_eq!(ledger.discard, stream::DiscardPolicy::New);
    assert!(ledger.deny_delete && ledger.deny_purge && ledger.discard_new_per_subject);
    assert!(!ledger.allow_rollup && !ledger.allow_message_ttl && ledger.allow_direct);
    assert_eq!(ledger.max_messages_per_subject, 512);
    assert_eq!(ledger.duplicate_window.as_secs(), 120);
    let floors = config_of(&server, "KV_QUEUE_FLOORS").await;
    assert_eq!((floors.max_messages_per_subject, floors.max_age), (1, Duration::ZERO));
    let leases = config_of(&server, "KV_LEADERS").await;
    assert_eq!((leases.max_messages_per_subject, leases.max_age), (1, Duration::from_secs(30)));
    for bucket in ["OBJ_SOURCES", "OBJ_OUTPUTS", "OBJ_TESTS"] {
        assert_eq!(config_of(&server, bucket).await.max_bytes, 64 * 1024 * 1024);
    }
}

#[tokio::test]
async fn a_server_that_syncs_later_is_refused_with_the_line_to_add() {
    let options = ServerOptions { sync_always: false, ..ServerOptions::default() };
    let server = NatsServer::start_with(&options).await;
    let (connection, settings) = open(&server).await;
    let refused = connection.provision(&settings).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NotDurable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("`sync_interval: always`"), "{refused}");
    let client = async_nats::connect(server.url()).await.unwrap();
    jetstream::new(client).get_stream(LEDGER_STREAM).await.unwrap_err();
}

#[tokio::test]
async fn without_a_monitoring_address_nothing_is_provisioned() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    settings.monitor_urls.clear();
    let refused = connection.provision(&settings).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NoMonitor), "{refused:?}");
    assert!(refused.to_string().contains("monitor_url"), "{refused}");
    // The port for clients is not the one for monitoring.
    settings.monitor_urls = vec![server.url().replace("nats://", "http://")];
    let refused = connection.provision(&settings).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::Monitor { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_existing_stream_with_other_settings_is_refused_and_left_alone() {
    let server = NatsServer::start().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let config = stream::Config {
        name: LEDGER_STREAM.to_owned(),
        subjects: LEDGER_SUBJECTS.map(str::to_owned).to_vec(),
        max_age: Duration::from_hours(24),
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap();
    let (connection, settings) = open(&server).await;
    let refused = connection.provision(&settings).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("max_age is 86400s and must be 0ns"), "{text}");
    assert!(text.contains("deny_delete is false and must be true"), "{text}");
    assert_eq!(config_of(&server, LEDGER_STREAM).await.max_age.as_secs(), 86_400);
}

#[tokio::test]
async fn room_is_given_and_never_taken() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    connection.provision(&settings).await.unwrap();
    let first = config_of(&server, LEDGER_STREAM).await.max_bytes;
    settings.ledger_bytes_max *= 2;
    connection.provision(&settings).await.unwrap();
    assert_eq!(config_of(&server, LEDGER_STREAM).await.max_bytes, 2 * first);
    settings.ledger_bytes_max /= 4;
    connection.provision(&settings).await.unwrap();
    assert_eq!(config_of(&server, LEDGER_STREAM).await.max_bytes, 2 * first);
}

#[tokio::test]
async fn replicas_that_cannot_be_had_are_an_error_at_once() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    settings.replicas = 3;
    let refused = connection.provision(&settings).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::Create { .. }), "{refused:?}");
}
