//! The settings of every stream, and how to hold an existing stream against them.

use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use events::ObjectBucket;
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use serde::Deserialize;

use crate::leadership;
use crate::offers::{OFFER_LIFE, OFFERS_BUCKET, OFFERS_BYTES_MAX};
use crate::queue::floors;
use crate::store::SUBJECT_MESSAGES_MAX;

/// How long the server remembers message ids. A longer window costs the server memory, and the
/// expected sequence refuses a repetition for ever.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// Room for the offers of hundreds of executors, and of their earlier lives.
const OFFERS_BUCKET_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// What an operator decides about the streams: a section of a service's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// Servers that keep each message: 1, or 3 in a cluster.
    pub replicas: usize,
    /// Bytes that the ledger may use. A stream that has less is given more; it is never given less.
    pub ledger_bytes_max: u64,
    /// Bytes that each bucket of objects may use.
    pub objects_bytes_max: u64,
    /// The monitoring addresses of all servers, as `http://127.0.0.1:8222`: only they tell how a
    /// server syncs. They stand with the addresses of the servers, and not in this section.
    #[serde(skip)]
    pub monitor_urls: Vec<String>,
}

/// Every stream that must exist.
pub(super) fn wanted(settings: &StreamSettings) -> Vec<Config> {
    let buckets = ObjectBucket::ALL.iter().map(|&bucket| objects(bucket, settings));
    let floors = key_values(floors::BUCKET, settings);
    let leaders = expiring(leadership::LEADERSHIP_TIME, key_values(leadership::BUCKET, settings));
    std::iter::once(ledger(settings))
        .chain(buckets)
        .chain([floors, leaders, offers(settings)])
        .collect()
}

/// The stream of events, from which nothing is ever taken: full means refused.
fn ledger(settings: &StreamSettings) -> Config {
    Config {
        name: LEDGER_STREAM.to_owned(),
        subjects: LEDGER_SUBJECTS.map(str::to_owned).to_vec(),
        // Not a work queue: that would remove a submission when its executor acknowledges it.
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        // The default makes room by removing the oldest events, in the stream and on each subject.
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        max_bytes: i64::try_from(settings.ledger_bytes_max).unwrap_or(i64::MAX),
        // Admission measures bytes. A second limit could refuse the outcome of a submission that
        // was admitted.
        max_messages: -1,
        max_messages_per_subject: i64::from(SUBJECT_MESSAGES_MAX),
        duplicate_window: DUPLICATE_WINDOW,
        // The server lets no later update take these two back, so an operator
        // cannot remove an event either.
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}

/// The bucket of what executors have.
fn offers(settings: &StreamSettings) -> Config {
    Config {
        // If the server forgot offers at a restart, nothing would be accepted until every executor
        // has put its own again, so there is room for hundreds of executors' lives.
        max_bytes: OFFERS_BUCKET_BYTES_MAX,
        max_message_size: OFFERS_BYTES_MAX,
        ..expiring(OFFER_LIFE, key_values(OFFERS_BUCKET, settings))
    }
}

/// A bucket as NATS object stores are laid out, but read from the leader only: without direct get,
/// every reader sees what was just put.
fn objects(bucket: ObjectBucket, settings: &StreamSettings) -> Config {
    let name = bucket.as_str();
    Config {
        name: format!("OBJ_{name}"),
        subjects: vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(settings.objects_bytes_max).unwrap_or(i64::MAX),
        max_messages: -1,
        // All chunks of an object have one subject.
        max_messages_per_subject: -1,
        duplicate_window: DUPLICATE_WINDOW,
        // The client stores an object's info with a rollup, which a stream refuses by default.
        allow_rollup: true,
        allow_direct: false,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}

/// A bucket of keys as NATS lays it out, with the last value of each.
fn key_values(bucket: &str, settings: &StreamSettings) -> Config {
    Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_messages_per_subject: 1,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        // The client removes a key with a rollup.
        allow_rollup: true,
        // Read from the leader: a replica may be behind.
        allow_direct: false,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}

/// Lets what is stored expire.
fn expiring(max_age: Duration, config: Config) -> Config {
    // The server refuses to remember ids for longer than messages.
    Config { max_age, duplicate_window: config.duplicate_window.min(max_age), ..config }
}

/// Every setting that matters to what is stored and that is not as it must be. More room than
/// wanted is not a difference.
pub(super) fn differences(found: &Config, wanted: &Config) -> Vec<String> {
    let mut differences = Vec::new();
    let mut hold = |name: &str, found: &dyn Debug, wanted: &dyn Debug| {
        // Compared as text: the fields have many types, and the text is needed for the message.
        let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
        if found != wanted {
            differences.push(format!("{name} is {found} and must be {wanted}"));
        }
    };
    macro_rules! hold {
        ($($field:ident),+ $(,)?) => { $(hold(stringify!($field), &found.$field, &wanted.$field);)+ };
    }
    hold!(subjects, retention, storage, discard, discard_new_per_subject, num_replicas);
    hold!(max_messages, max_messages_per_subject, max_age, duplicate_window);
    hold!(deny_delete, deny_purge, allow_direct, allow_rollup, no_ack, sealed);
    hold!(mirror, sources, subject_transform, persist_mode);
    hold!(allow_message_ttl, allow_message_counter, allow_message_schedules);
    differences
}
