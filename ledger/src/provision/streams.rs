//! The settings of every stream, and how to hold an existing stream against them.

use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use events::{LedgerId, ObjectBucket};
use serde::Deserialize;

use crate::jetstream::objects;
use crate::leadership;
use crate::offers::{OFFER_LIFE, OFFERS_BUCKET, OFFERS_BYTES_MAX};
use crate::queue::floors;
use crate::store::{MESSAGE_BYTES_MAX, SUBJECT_MESSAGES_MAX};

/// How long the server remembers message ids. A longer window costs the server memory, and the
/// expected sequence refuses a repetition for ever.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// For how much longer than clients are told outputs are kept. An output may have been stored half
/// an hour before for another submission, and it is stored before the event that names it, which
/// may have to wait.
const OUTPUTS_AGE_SPARE: Duration = Duration::from_hours(2);

/// Room for the offers of hundreds of executors, and of their earlier lives.
const OFFERS_BUCKET_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// Where the ledger's id stands in the stream's metadata.
const LEDGER_ID: &str = "ledger_id";

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
    /// How long an output that is too large for an event is kept at the least, in seconds. It stands
    /// in a section that readers have, too.
    #[serde(skip)]
    pub outputs_age_s: u32,
    /// The monitoring addresses of all servers, as `http://127.0.0.1:8222`: only they tell how a
    /// server syncs. They stand with the addresses of the servers, and not in this section.
    #[serde(skip)]
    pub monitor_urls: Vec<String>,
}

/// Every stream that must exist, in the order in which they are made.
pub(super) fn wanted(settings: &StreamSettings, id: LedgerId) -> Vec<Config> {
    let buckets = ObjectBucket::ALL.iter().map(|&bucket| object_bucket(bucket, settings));
    let floors = key_values(floors::BUCKET, settings);
    let leaders = expiring(leadership::LEADERSHIP_TIME, key_values(leadership::BUCKET, settings));
    std::iter::once(ledger(settings, id))
        .chain(buckets)
        .chain([floors, leaders, offers(settings)])
        .collect()
}

/// The streams that outlive each program, and that no provisioner makes before the ledger.
pub(super) fn made_after_the_ledger() -> impl Iterator<Item = String> {
    let buckets = ObjectBucket::ALL.iter().map(|&bucket| objects::stream_name(bucket));
    buckets.chain([stream_of_key_values(floors::BUCKET)])
}

/// Reads which ledger a stream has; none in one that was made before ledgers had ids.
pub(crate) fn ledger_id(found: &Config) -> Option<LedgerId> {
    found.metadata.get(LEDGER_ID)?.parse().ok()
}

/// The stream of events, from which nothing is ever taken: full means refused.
fn ledger(settings: &StreamSettings, id: LedgerId) -> Config {
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
        max_message_size: i32::try_from(MESSAGE_BYTES_MAX).expect("it is far below 2 GiB"),
        duplicate_window: DUPLICATE_WINDOW,
        // The server lets no later update take this back, so an operator cannot remove an event
        // either. Nor could a denied purge be allowed again, and an archive has to purge what it
        // has taken over: permissions deny it.
        deny_delete: true,
        metadata: [(LEDGER_ID.to_owned(), id.to_string())].into(),
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

/// The stream of a bucket, in which each object is a message with a subject of its own.
fn object_bucket(bucket: ObjectBucket, settings: &StreamSettings) -> Config {
    let stream = Config {
        name: objects::stream_name(bucket),
        subjects: vec![objects::subject(bucket, "*")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(settings.objects_bytes_max).unwrap_or(i64::MAX),
        max_messages: -1,
        // An object that is written anew takes the place of the older one.
        max_messages_per_subject: 1,
        duplicate_window: DUPLICATE_WINDOW,
        // Any server may answer: an object that is found is compared with its name, and one that is
        // not found is asked for again at the leader.
        allow_direct: true,
        num_replicas: settings.replicas,
        ..Config::default()
    };
    if bucket.expires() {
        let age = Duration::from_secs(settings.outputs_age_s.into());
        expiring(age + OUTPUTS_AGE_SPARE, stream)
    } else {
        stream
    }
}

/// What may be set anew: the room, which only ever grows, the age of outputs, and the size of
/// messages, which says nothing of those that are stored.
pub(super) fn adjusted(found: &Config, wanted: &Config) -> Config {
    // On top of what was found, so that settings which we do not compare stay an operator's.
    let mut adjusted = found.clone();
    // A limit below what is stored would refuse every outcome at once.
    adjusted.max_bytes = found.max_bytes.max(wanted.max_bytes);
    // 0 stands for streams for which we want no bound, and the server says -1 of one without.
    if wanted.max_message_size > 0 {
        adjusted.max_message_size = wanted.max_message_size;
    }
    if wanted.name == objects::stream_name(ObjectBucket::Outputs) {
        adjusted.max_age = wanted.max_age;
    }
    adjusted
}

/// A bucket of keys as NATS lays it out, with the last value of each.
fn key_values(bucket: &str, settings: &StreamSettings) -> Config {
    Config {
        name: stream_of_key_values(bucket),
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

fn stream_of_key_values(bucket: &str) -> String {
    format!("KV_{bucket}")
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
    // Not the metadata: the server adds to it, and the ledger's id is the stream's own.
    hold!(deny_delete, deny_purge, allow_direct, allow_rollup, no_ack, sealed);
    hold!(mirror, sources, subject_transform, persist_mode);
    hold!(allow_message_ttl, allow_message_counter, allow_message_schedules);
    differences
}
