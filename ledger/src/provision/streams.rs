//! The settings of every stream, and how to hold an existing stream against them (design §4.1).

use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use events::ObjectBucket;
use events::subject::{CHECKPOINTS_STREAM, CHECKPOINTS_SUBJECT, LEDGER_STREAM, LEDGER_SUBJECTS};

use super::StreamSettings;
use crate::store::SUBJECT_MESSAGES_MAX;

/// How long the server remembers message ids. Its memory grows with it, and the expected sequence guards for ever.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
/// A tree head has some hundred bytes.
const CHECKPOINTS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Every stream that must exist.
pub(super) fn wanted(settings: &StreamSettings) -> Vec<Config> {
    let buckets = ObjectBucket::ALL.iter().map(|&bucket| objects(bucket, settings));
    [ledger(settings), checkpoints(settings)].into_iter().chain(buckets).collect()
}

fn ledger(settings: &StreamSettings) -> Config {
    Config {
        max_messages_per_subject: i64::from(SUBJECT_MESSAGES_MAX),
        discard_new_per_subject: true,
        ..immutable(LEDGER_STREAM, LEDGER_SUBJECTS, settings.ledger_bytes_max, settings)
    }
}

fn checkpoints(settings: &StreamSettings) -> Config {
    immutable(CHECKPOINTS_STREAM, CHECKPOINTS_SUBJECT, CHECKPOINTS_BYTES_MAX, settings)
}

/// A stream from which nothing is ever taken: full means refused.
fn immutable(name: &str, subject: &str, bytes_max: u64, settings: &StreamSettings) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(bytes_max).unwrap_or(i64::MAX),
        max_messages: -1,
        max_messages_per_subject: -1,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}

/// A bucket as NATS object stores are laid out, but read from the leader only: without direct get, what was just put
/// is there for everybody.
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
        max_messages_per_subject: -1,
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: true,
        allow_direct: false,
        num_replicas: settings.replicas,
        ..Config::default()
    }
}

/// Every setting that matters to what is stored and that is not as it must be. More room than wanted is no difference.
pub(super) fn differences(found: &Config, wanted: &Config) -> Vec<String> {
    let mut differences = Vec::new();
    let mut hold = |name: &str, found: &dyn Debug, wanted: &dyn Debug| {
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
