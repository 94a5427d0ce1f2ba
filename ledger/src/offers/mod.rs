//! What executors have: each puts its languages into a small bucket again and again, and readers
//! keep a watch on it. Decides nothing: who may be accepted, and who runs it, is the business of
//! the services.

mod known;

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::{Entry, Operation};
use bytes::Bytes;
use events::event::LanguageRef;
use events::{BootId, LanguageSlug, PoolName};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::error::Fault;
use crate::link::Link;
use crate::retry::{PATIENT, Waits};

pub use known::KnownOffers;

/// The key-value bucket. Its keys are boot ids.
pub(crate) const OFFERS_BUCKET: &str = "OFFERS";
/// How long an offer is remembered after the executor has put it for the last time.
pub(crate) const OFFER_LIFE: Duration = Duration::from_hours(2);
/// The most bytes of one executor's offers; a language needs about 70.
pub(crate) const OFFERS_BYTES_MAX: i32 = 64 * 1024;
/// How often an executor says what it has.
const PUT_EVERY: Duration = Duration::from_secs(30);

/// A language at one version in one pool: what an executor has, and what a submission needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LanguageOffer {
    pub slug: LanguageSlug,
    pub version: String,
    pub pool: PoolName,
}

impl LanguageOffer {
    /// Returns a language in a pool.
    pub fn of(language: &LanguageRef, pool: &PoolName) -> Self {
        let LanguageRef { slug, version } = language.clone();
        Self { slug, version, pool: pool.clone() }
    }
}

/// The value of an entry.
// An unknown member is no error: this lives for two hours and proves nothing, and while a deploy
// rolls, older readers MUST understand newer executors.
#[derive(Debug, Serialize, Deserialize)]
struct OffersOfExecutor {
    languages: Vec<LanguageOffer>,
}

/// Puts offers, and watches those of others.
#[derive(Clone, Debug)]
pub struct Offers {
    context: Context,
    link: Link,
}

impl Offers {
    pub(crate) const fn new(context: Context, link: Link) -> Self {
        Self { context, link }
    }

    /// Says what this life has, now and every 30 seconds, for as long as this runs.
    pub async fn keep_putting(&self, boot: BootId, languages: Vec<LanguageOffer>) -> Infallible {
        let offers = serde_json::to_vec(&OffersOfExecutor { languages });
        let offers = Bytes::from(offers.expect("offers are made of strings only"));
        let mut waits = Waits::of(PATIENT);
        loop {
            if let Err(fault) = self.put(boot, offers.clone()).await {
                tracing::warn!(error = fault.as_ref() as &dyn Error, "offers were not put");
                waits.wait().await;
            } else {
                waits = Waits::of(PATIENT);
                sleep(PUT_EVERY).await;
            }
        }
    }

    async fn put(&self, boot: BootId, offers: Bytes) -> Result<(), Fault> {
        let bucket = self.context.get_key_value(OFFERS_BUCKET).await?;
        bucket.put(boot.to_string(), offers).await?;
        Ok(())
    }

    /// Keeps what is known up to date, for as long as this runs.
    pub async fn watch(&self, known: &KnownOffers) -> Infallible {
        let mut waits = Waits::of(PATIENT);
        loop {
            let Err(fault) = self.watch_once(known, &mut waits).await;
            known.watch_ended();
            tracing::warn!(error = fault.as_ref() as &dyn Error, "watching offers anew");
            waits.wait().await;
        }
    }

    async fn watch_once(
        &self,
        known: &KnownOffers,
        waits: &mut Waits,
    ) -> Result<Infallible, Fault> {
        // Before the watch is made: a connection that breaks meanwhile may take it along.
        let mut connections = self.link.connections();
        let bucket = self.context.get_key_value(OFFERS_BUCKET).await?;
        let mut entries = bucket.watch_with_history(">").await?;
        // After the watch is made: an entry that is there by now will be delivered.
        let info = bucket.stream.get_info().await?;
        if info.state.messages == 0 {
            known.all_is_read(info.created);
        }
        loop {
            let entry = tokio::select! {
                // What the client already has is taken in before the watch is given up.
                biased;
                entry = entries.next() => entry.ok_or("the watch ended")??,
                // A server that restarted has forgotten the watch's consumer.
                _ = connections.changed() => return Err("the connection was made anew".into()),
            };
            take_in(known, &entry);
            if entry.seen_current {
                known.all_is_read(info.created);
                *waits = Waits::of(PATIENT);
            }
        }
    }
}

/// Notes what an entry says. What cannot be read must not hide what other executors have.
fn take_in(known: &KnownOffers, entry: &Entry) {
    // An operator who deletes an entry does not unsay it.
    if entry.operation != Operation::Put {
        return;
    }
    match serde_json::from_slice::<OffersOfExecutor>(&entry.value) {
        Ok(offers) => known.note(offers.languages, entry.created),
        Err(error) => {
            let error = &error as &dyn Error;
            tracing::warn!(error, offers.key = entry.key, "offers that cannot be read are skipped");
        }
    }
}
