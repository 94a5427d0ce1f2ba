//! Provisioning: idempotent, never takes anything away, and never on a server that may forget.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use events::{IdSource as _, LedgerId};
use futures::future::join_all;
use ledger::testing::small_streams;
use ledger::{Connection, ProvisionError, StreamSettings};
use servers::testing::{NatsServer, ServerOptions};

use crate::common::{FreshIds, provisioner, tester};

async fn open(server: &NatsServer) -> (Connection, StreamSettings) {
    let connection = provisioner(server).await;
    (connection, small_streams(1, vec![server.monitor_url()]))
}

async fn config_of(server: &NatsServer, name: &str) -> stream::Config {
    let client = tester(server).await;
    let stream = jetstream::new(client).get_stream(name).await.unwrap();
    stream.cached_info().config.clone()
}

#[tokio::test]
async fn many_services_provision_at_once_and_again() {
    let server = NatsServer::start().await;
    let (connection, settings) = open(&server).await;
    for _ in 0..2 {
        let services = (0..8).map(|_| connection.provision(&settings, &FreshIds));
        for provisioned in join_all(services).await {
            provisioned.unwrap();
        }
    }
    let ledger = config_of(&server, LEDGER_STREAM).await;
    assert_eq!(ledger.subjects, LEDGER_SUBJECTS);
    assert_eq!(ledger.discard, stream::DiscardPolicy::New);
    assert!(ledger.deny_delete && !ledger.deny_purge && ledger.discard_new_per_subject);
    ledger.metadata["ledger_id"].parse::<LedgerId>().unwrap();
    assert!(!ledger.allow_rollup && !ledger.allow_message_ttl && ledger.allow_direct);
    assert_eq!((ledger.max_messages_per_subject, ledger.max_message_size), (512, 4 * 1024 * 1024));
    assert_eq!(ledger.duplicate_window.as_secs(), 120);
    let floors = config_of(&server, "KV_QUEUE_FLOORS").await;
    assert_eq!((floors.max_messages_per_subject, floors.max_age), (1, Duration::ZERO));
    let leases = config_of(&server, "KV_LEADERS").await;
    assert_eq!((leases.max_messages_per_subject, leases.max_age), (1, Duration::from_secs(10)));
    for bucket in ["OBJ_SOURCES", "OBJ_OUTPUTS", "OBJ_TESTS"] {
        let objects = config_of(&server, bucket).await;
        assert_eq!((objects.max_bytes, objects.max_messages_per_subject), (64 * 1024 * 1024, 1));
        // A sweep removes what no event names.
        assert!(!objects.deny_delete && !objects.deny_purge);
        let hours = if bucket == "OBJ_OUTPUTS" { 3 } else { 0 };
        assert_eq!(objects.max_age, Duration::from_hours(hours), "{bucket}");
    }
}

#[tokio::test]
async fn outputs_get_the_age_that_is_set_last() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    connection.provision(&settings, &FreshIds).await.unwrap();
    settings.outputs_age_s = 24 * 3_600;
    connection.provision(&settings, &FreshIds).await.unwrap();
    assert_eq!(config_of(&server, "OBJ_OUTPUTS").await.max_age, Duration::from_hours(26));
    assert_eq!(config_of(&server, "OBJ_SOURCES").await.max_age, Duration::ZERO);
}

#[tokio::test]
async fn a_server_that_syncs_later_is_refused_with_the_line_to_add() {
    let options = ServerOptions { sync_always: false, ..ServerOptions::default() };
    let server = NatsServer::start_with(&options).await;
    let (connection, settings) = open(&server).await;
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NotDurable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("`sync_interval: always`"), "{refused}");
    let client = tester(&server).await;
    jetstream::new(client).get_stream(LEDGER_STREAM).await.unwrap_err();
}

#[tokio::test]
async fn without_a_monitoring_address_nothing_is_provisioned() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    settings.monitor_urls.clear();
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NoMonitor), "{refused:?}");
    assert!(refused.to_string().contains("monitor_url"), "{refused}");
    // The port for clients is not the one for monitoring.
    settings.monitor_urls = vec![server.url().replace("nats://", "http://")];
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::Monitor { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_existing_stream_with_other_settings_is_refused_and_left_alone() {
    let server = NatsServer::start().await;
    let client = tester(&server).await;
    let config = stream::Config {
        name: LEDGER_STREAM.to_owned(),
        subjects: LEDGER_SUBJECTS.map(str::to_owned).to_vec(),
        max_age: Duration::from_hours(24),
        metadata: [("ledger_id".to_owned(), FreshIds.new_id().to_string())].into(),
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap();
    let (connection, settings) = open(&server).await;
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("max_age is 86400s and must be 0ns"), "{text}");
    assert!(text.contains("deny_delete is false and must be true"), "{text}");
    assert_eq!(config_of(&server, LEDGER_STREAM).await.max_age.as_secs(), 86_400);
}

#[tokio::test]
async fn a_ledger_keeps_its_id_for_ever() {
    let mut server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    connection.provision(&settings, &FreshIds).await.unwrap();
    let made = config_of(&server, LEDGER_STREAM).await.metadata["ledger_id"].clone();
    server.restart().await;
    settings.ledger_bytes_max *= 2;
    connection.provision(&settings, &FreshIds).await.unwrap();
    assert_eq!(config_of(&server, LEDGER_STREAM).await.metadata["ledger_id"], made);
}

#[tokio::test]
async fn a_stream_of_an_older_form_is_refused_with_the_way_to_begin_anew() {
    let server = NatsServer::start().await;
    let client = tester(&server).await;
    let config = stream::Config {
        name: LEDGER_STREAM.to_owned(),
        subjects: LEDGER_SUBJECTS.map(str::to_owned).to_vec(),
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap();
    let (connection, settings) = open(&server).await;
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NoLedgerId), "{refused:?}");
    assert!(refused.to_string().contains("Begin anew"), "{refused}");
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_told_from_one_that_never_was() {
    let server = NatsServer::start().await;
    let (connection, settings) = open(&server).await;
    let gone = connection.check_ledger_is_not_gone(true).await.unwrap_err();
    assert!(matches!(gone, ProvisionError::LedgerGone), "{gone:?}");
    connection.check_ledger_is_not_gone(false).await.unwrap();
    connection.provision(&settings, &FreshIds).await.unwrap();
    connection.check_ledger_is_not_gone(true).await.unwrap();
    let context = jetstream::new(tester(&server).await);
    context.delete_stream(LEDGER_STREAM).await.unwrap();
    // What was made after it tells that it was there, also to a program that has just started.
    let gone = connection.check_ledger_is_not_gone(false).await.unwrap_err();
    assert!(gone.is_lasting() && gone.to_string().contains("without `--keep`"), "{gone}");
    connection.provision(&settings, &FreshIds).await.unwrap();
    connection.check_ledger_is_not_gone(true).await.unwrap();
}

#[tokio::test]
async fn durability_is_asked_again_when_the_server_comes_back() {
    let mut server = NatsServer::start().await;
    let (connection, settings) = open(&server).await;
    let durability = connection.durability(settings.monitor_urls.clone());
    let becomes = async |durable: bool| {
        while durability.check().is_ok() != durable {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let operated = async {
        server.sync_always(false);
        server.restart().await;
        becomes(false).await;
        let why = durability.check().unwrap_err();
        assert!(why.contains("`sync_interval: always`"), "{why}");
        server.sync_always(true);
        server.restart().await;
        becomes(true).await;
    };
    tokio::select! {
        operated = tokio::time::timeout(Duration::from_mins(1), operated) => operated.unwrap(),
        never = durability.keep_asking() => match never {},
    }
}

#[tokio::test]
async fn room_is_given_and_never_taken() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    connection.provision(&settings, &FreshIds).await.unwrap();
    let first = config_of(&server, LEDGER_STREAM).await.max_bytes;
    settings.ledger_bytes_max *= 2;
    connection.provision(&settings, &FreshIds).await.unwrap();
    assert_eq!(config_of(&server, LEDGER_STREAM).await.max_bytes, 2 * first);
    settings.ledger_bytes_max /= 4;
    connection.provision(&settings, &FreshIds).await.unwrap();
    assert_eq!(config_of(&server, LEDGER_STREAM).await.max_bytes, 2 * first);
}

#[tokio::test]
async fn a_ledger_without_a_bound_on_its_messages_gets_one() {
    let server = NatsServer::start().await;
    let (connection, settings) = open(&server).await;
    connection.provision(&settings, &FreshIds).await.unwrap();
    let made = config_of(&server, LEDGER_STREAM).await;
    let unbounded = stream::Config { max_message_size: -1, ..made.clone() };
    let context = jetstream::new(tester(&server).await);
    context.update_stream(unbounded).await.unwrap();
    connection.provision(&settings, &FreshIds).await.unwrap();
    assert_eq!(config_of(&server, LEDGER_STREAM).await, made);
}

#[tokio::test]
async fn disk_that_the_server_does_not_have_is_named_before_the_first_stream_is_made() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    let more_than_any_disk = 1 << 50;
    settings.objects_bytes_max = more_than_any_disk;
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NoRoom { .. }), "{refused:?}");
    let text = refused.to_string();
    let all = 3 * (more_than_any_disk >> 20) + (settings.ledger_bytes_max >> 20) + 16;
    assert!(text.contains(&format!("reserve {all} MiB of disk in all")), "{text}");
    assert!(text.contains("lower `[streams] ledger_bytes_max` or `objects_bytes_max`"), "{text}");
    let client = tester(&server).await;
    jetstream::new(client).get_stream(LEDGER_STREAM).await.unwrap_err();
    // What exists has its room already.
    settings.objects_bytes_max = 64 * 1024 * 1024;
    connection.provision(&settings, &FreshIds).await.unwrap();
    settings.ledger_bytes_max = more_than_any_disk;
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::NoRoom { .. }), "{refused:?}");
}

#[tokio::test]
async fn replicas_that_cannot_be_had_are_an_error_at_once() {
    let server = NatsServer::start().await;
    let (connection, mut settings) = open(&server).await;
    settings.replicas = 3;
    let refused = connection.provision(&settings, &FreshIds).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::Create { .. }), "{refused:?}");
}
