//! What is known of the executors' offers, and for how long an offer is missing. Knows no server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Clock, Timestamp};
use tokio::time::Instant;

use super::{LanguageOffer, OFFER_LIFE, PUT_EVERY};

/// How long the watch must be unbroken before a missing offer means anything, and how long it may
/// bring nothing before it counts as deaf. After a break of NATS, executors need some time to say
/// again what they have.
const RETURN_TIME: Duration = Duration::from_secs(3 * PUT_EVERY.as_secs());

/// What executors have, and when they last said so; clones are the same knowledge.
#[derive(Clone, Debug)]
pub struct KnownOffers {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<OffersState>>,
}

#[derive(Debug, Default)]
struct OffersState {
    /// The server's time of the last entry with each offer.
    had_at: HashMap<LanguageOffer, Timestamp>,
    /// When the bucket was made, once it was read as a whole.
    bucket_made_at: Option<Timestamp>,
    /// Since when the watch is whole, if it is.
    watched_since: Option<Instant>,
    /// When the watch last brought anything.
    heard_at: Option<Instant>,
}

impl KnownOffers {
    /// Knows nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Tells whether the bucket was read as a whole once.
    pub fn has_looked(&self) -> bool {
        self.state().bucket_made_at.is_some()
    }

    /// Returns how long ago an executor last said that it has this; nothing if none did within two
    /// hours.
    pub fn last_had(&self, offer: &LanguageOffer) -> Option<Duration> {
        let had_at = self.state().had_at.get(offer).copied()?;
        Some(self.since(had_at)).filter(|age| *age <= OFFER_LIFE)
    }

    /// Returns for how long no executor has had this, two hours at most; nothing if that cannot be
    /// told, since the watch broke a short while ago.
    pub fn missing_for(&self, offer: &LanguageOffer) -> Option<Duration> {
        let state = self.state();
        let is_unbroken = state.watched_since?.elapsed() >= RETURN_TIME;
        // The caller's own entry comes back every 30 s. If nothing comes, the watch is deaf.
        let is_hearing = state.heard_at?.elapsed() <= RETURN_TIME;
        if !is_unbroken || !is_hearing {
            return None;
        }
        // Without an entry no executor has had it for as long as entries are kept, unless the
        // bucket is younger than that: before it was made, no executor could say anything.
        let missing_since = state.had_at.get(offer).copied().or(state.bucket_made_at)?;
        Some(self.since(missing_since).min(OFFER_LIFE))
    }

    /// Notes that an executor said at a time of the server that it has these.
    pub fn note(&self, offers: impl IntoIterator<Item = LanguageOffer>, at: Timestamp) {
        let mut state = self.state();
        state.had_at.retain(|_, had_at| self.since(*had_at) <= OFFER_LIFE);
        for offer in offers {
            let had_at = state.had_at.entry(offer).or_insert(at);
            *had_at = at.max(*had_at);
        }
        state.heard_at = Some(Instant::now());
    }

    /// Notes that a bucket of this age was read as a whole, and that all that comes will be heard.
    pub fn all_is_read(&self, bucket_made_at: Timestamp) {
        let mut state = self.state();
        state.bucket_made_at = Some(bucket_made_at);
        state.watched_since.get_or_insert_with(Instant::now);
    }

    /// Notes that something may go unheard from now on.
    pub(super) fn watch_ended(&self) {
        self.state().watched_since = None;
    }

    fn since(&self, time: Timestamp) -> Duration {
        // A server whose clock is ahead of ours said it just now.
        self.clock.now().signed_duration_since(time).to_std().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, OffersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use events::testing::{ManualClock, instant};
    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn python(version: &str) -> LanguageOffer {
        LanguageOffer {
            slug: "python".parse().unwrap(),
            version: version.to_owned(),
            pool: "core".parse().unwrap(),
        }
    }

    /// Knowledge of a bucket that was just made, and the clock.
    fn given() -> (KnownOffers, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let known = KnownOffers::new(clock.clone());
        known.all_is_read(instant(0));
        (known, clock)
    }

    /// Lets time pass in which only the watcher's own executor says what it has.
    async fn pass(known: &KnownOffers, clock: &ManualClock, time: Duration) {
        clock.advance(time);
        advance(time).await;
        known.note([python("3.12")], clock.now());
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_is_remembered_for_two_hours() {
        let (known, clock) = given();
        assert_eq!(known.last_had(&python("3.11")), None);
        known.note([python("3.11")], instant(0));
        pass(&known, &clock, HOUR).await;
        assert_eq!(known.last_had(&python("3.11")), Some(HOUR));
        assert_eq!(known.last_had(&python("3.12")), Some(Duration::ZERO));
        // An entry that comes late is of its own time.
        known.note([python("3.12")], instant(1));
        assert_eq!(known.last_had(&python("3.12")), Some(Duration::ZERO));
        pass(&known, &clock, HOUR + Duration::from_secs(1)).await;
        assert_eq!(known.last_had(&python("3.11")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_is_missing_since_it_was_last_made() {
        let (known, clock) = given();
        known.note([python("3.11")], instant(0));
        pass(&known, &clock, HOUR).await;
        assert_eq!(known.missing_for(&python("3.11")), Some(HOUR));
        pass(&known, &clock, 3 * HOUR).await;
        assert_eq!(known.missing_for(&python("3.11")), Some(OFFER_LIFE));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_offered_is_missing_since_the_bucket_was_made() {
        let (known, clock) = given();
        pass(&known, &clock, HOUR).await;
        assert_eq!(known.missing_for(&python("3.11")), Some(HOUR));
        // The bucket is old, and only entries of the last two hours are kept.
        pass(&known, &clock, 5 * HOUR).await;
        assert_eq!(known.missing_for(&python("3.11")), Some(OFFER_LIFE));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_missing_while_executors_may_be_on_their_way_back() {
        let (known, clock) = given();
        known.note([python("3.11")], instant(0));
        assert_eq!(known.missing_for(&python("3.11")), None, "just begun");
        pass(&known, &clock, HOUR).await;
        known.watch_ended();
        assert_eq!(known.missing_for(&python("3.11")), None, "broken");
        assert_eq!(known.last_had(&python("3.11")), Some(HOUR));
        known.all_is_read(instant(0));
        assert_eq!(known.missing_for(&python("3.11")), None, "just made anew");
        pass(&known, &clock, RETURN_TIME).await;
        assert_eq!(known.missing_for(&python("3.11")), Some(HOUR + RETURN_TIME));
        advance(RETURN_TIME + Duration::from_secs(1)).await;
        assert_eq!(known.missing_for(&python("3.11")), None, "deaf");
    }
}
