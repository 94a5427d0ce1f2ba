//! Removes objects that no event names: those of requests that were refused after their objects
//! were stored, and of appends that were lost. Outputs age, so only sources and tests are swept.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use events::subject::LEDGER_STREAM;
use events::{Digest, LedgerPosition, ObjectBucket, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use crate::entry::LedgerEntry;
use crate::error::{Fault, FollowError, ReadError};
use crate::jetstream::objects::{FRESH_TIME, stream_name, subject};
use crate::ledger::Ledger;

/// The buckets whose objects do not age.
const SWEPT: [ObjectBucket; 2] = [ObjectBucket::Sources, ObjectBucket::Tests];

/// How old an object is at least that is removed. A writer relies on an object for [`FRESH_TIME`]
/// and then writes it anew, so the event of a submission that is being accepted right now has half
/// an hour to be stored.
const AGE_MIN: Duration = FRESH_TIME.saturating_mul(2);

/// Removes objects that no event names.
///
/// It reads the whole ledger the first time, and later only what is new. For that it remembers
/// every object of the swept buckets that an event names.
#[derive(Debug)]
pub struct Sweeper {
    context: Context,
    ledger: Ledger,
    age_min: Duration,
    named: HashSet<(ObjectBucket, Digest)>,
    /// Up to where the ledger was read.
    read: Option<LedgerPosition>,
}

/// What a sweep has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Swept {
    pub objects: u64,
    pub bytes: u64,
}

/// Why a sweep was not finished. The next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The objects could not be listed or removed.
    #[error("the object store does not answer")]
    Objects(#[source] Fault),
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Read(#[from] ReadError),
    /// The ledger could not be read from where the last sweep ended. The next one reads all of it.
    #[error("the ledger could not be followed")]
    Follow(#[from] FollowError),
}

/// What the server says of the ledger.
#[derive(Debug, Deserialize)]
struct LedgerTimes {
    /// The server's clock.
    ts: Timestamp,
    created: Timestamp,
}

impl Sweeper {
    pub(crate) fn new(context: Context, ledger: Ledger) -> Self {
        Self { context, ledger, age_min: AGE_MIN, named: HashSet::new(), read: None }
    }

    /// Sets how old an object is at least that is removed.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_age_min(self, age_min: Duration) -> Self {
        Self { age_min, ..self }
    }

    /// Removes what no event names and what is old enough.
    pub async fn sweep(&mut self) -> Result<Swept, SweepError> {
        let mut unnamed = self.list().await.map_err(SweepError::Objects)?;
        if unnamed.is_empty() {
            return Ok(Swept::default());
        }
        // Before the ledger's end is looked up: the event of every object that is older than the
        // age by now is in the ledger, or will never be.
        let times = self.times().await.map_err(ReadError::Unavailable)?;
        let read = self.read_on().await;
        if let Err(SweepError::Follow(_)) = read {
            (self.named, self.read) = (HashSet::new(), None);
        }
        read?;
        unnamed.retain(|object| !self.named.contains(object));
        let mut swept = Swept::default();
        for (bucket, digest) in unnamed {
            let removed = self.remove(bucket, digest, &times).await.map_err(SweepError::Objects)?;
            swept.objects += u64::from(removed.is_some());
            swept.bytes += removed.unwrap_or_default();
        }
        Ok(swept)
    }

    /// Lists the objects of which no event is known yet that names them.
    async fn list(&self) -> Result<Vec<(ObjectBucket, Digest)>, Fault> {
        let mut unknown = Vec::new();
        for bucket in SWEPT {
            let all = self.stream(bucket).await?.info_with_subjects(subject(bucket, "*")).await?;
            let subjects: Vec<(String, usize)> = all.try_collect().await?;
            // A foreign subject is no object of ours, and stays.
            let digests = subjects.iter().filter_map(|(subject, _)| subject.rsplit('.').next());
            let objects = digests.filter_map(|digest| Some((bucket, digest.parse().ok()?)));
            unknown.extend(objects.filter(|object| !self.named.contains(object)));
        }
        Ok(unknown)
    }

    /// Reads the ledger up to its present end.
    async fn read_on(&mut self) -> Result<(), SweepError> {
        let last = self.ledger.last_sequence().await?;
        let mut entries = self.ledger.follow(self.read);
        while self.read.map_or(0, |position| position.sequence) < last {
            let Some(followed) = entries.next().await.transpose()? else { break };
            if let LedgerEntry::Event(stored) = followed.entry {
                let objects = stored.recorded.envelope.event.objects().into_iter();
                let swept = objects.filter(|object| SWEPT.contains(&object.bucket));
                self.named.extend(swept.map(|object| (object.bucket, object.sha256)));
            }
            self.read = Some(followed.position);
        }
        Ok(())
    }

    /// Removes an object if it is old enough, and returns its size.
    async fn remove(
        &self,
        bucket: ObjectBucket,
        digest: Digest,
        times: &LedgerTimes,
    ) -> Result<Option<u64>, Fault> {
        let stream = self.stream(bucket).await?;
        let request = stream.raw_message_builder().last_by_subject(subject(bucket, digest));
        let message = match request.send().await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let is_old = message.time + self.age_min <= times.ts;
        // An object that is older than the ledger belongs to another one, which may be brought back.
        if !is_old || message.time < times.created {
            return Ok(None);
        }
        // By its sequence: an object that is written anew meanwhile has another one, and stays.
        let removed = stream.delete_message(message.sequence).await?;
        Ok(removed.then_some(message.payload.len() as u64))
    }

    async fn times(&self) -> Result<LedgerTimes, Fault> {
        Ok(self.context.request(format!("STREAM.INFO.{LEDGER_STREAM}"), &()).await?)
    }

    async fn stream(&self, bucket: ObjectBucket) -> Result<Stream<()>, Fault> {
        // Sends no request to the server: it only checks the name.
        Ok(self.context.get_stream_no_info(stream_name(bucket)).await?)
    }
}
