//! How many bytes each principal has stored, as far as the ledger tells: what it submitted and what
//! its programs wrote, in objects, each once, and in events. So one principal cannot fill the
//! stores for the others. What stands in events stays, but counts only for as long as outputs are
//! kept: that bounds its rate.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Clock, Event, ObjectRef, Recorded, SubmissionId, Timestamp, UserId};
use tokio::sync::watch;
use tokio::time::timeout;

/// An age is counted in this many periods: a day each by default. At the end of each, what is too
/// old is forgotten.
const PERIODS: i64 = 7;
/// How long a request waits for the ledger to tell everything: a small one has told it by then.
const COMPLETE_TIME_MAX: Duration = Duration::from_secs(5);

/// How much a principal may have, and for how long it counts.
#[derive(Clone, Copy, Debug)]
pub struct StoredLimits {
    /// Bytes of one principal.
    pub bytes_max: u64,
    /// How long an output counts after an event has named it, and what stands in an event.
    pub age: Duration,
}

/// What principals have; clones are the same.
#[derive(Clone, Debug)]
pub struct StoredBytes {
    limits: StoredLimits,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<KnownBytes>>,
    /// Whether the ledger has told everything that counts.
    is_complete: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct KnownBytes {
    principals: HashMap<UserId, PrincipalBytes>,
    /// Whose the submissions are that have not ended: events of outcomes do not say.
    unended: HashMap<SubmissionId, UserId>,
    /// The period in which was forgotten for the last time.
    period: i64,
}

/// What one principal has. There are no more objects than the buckets hold, and admission bounds
/// their bytes.
#[derive(Debug, Default)]
struct PrincipalBytes {
    /// Each with the last period in which an event named it.
    named: HashMap<ObjectRef, i64>,
    /// The bytes that stand in events, by the period in which these were stored.
    inline: BTreeMap<i64, u64>,
    /// All of them together.
    bytes: u64,
}

impl StoredBytes {
    /// Begins with nothing.
    pub fn new(limits: StoredLimits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock, known: Arc::default(), is_complete: Arc::default() }
    }

    /// Refuses a principal that has as much as it may, and says after what time some of it counts
    /// no longer.
    pub fn check(&self, principal: &UserId) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut known = self.lock();
        self.forget_old(&mut known, now);
        let Some(own) = known.principals.get(principal) else { return Ok(()) };
        if own.bytes < self.limits.bytes_max {
            return Ok(());
        }
        // Where nothing goes, only the operator can help, and that takes its time.
        let Some(oldest) = own.oldest() else { return Err(self.limits.age) };
        let forgotten_at = (oldest + PERIODS + 1) * self.period_seconds();
        let wait = u64::try_from(forgotten_at - now.timestamp()).unwrap_or_default();
        Err(Duration::from_secs(wait.max(1)))
    }

    /// Returns a time before which nothing counts.
    pub(crate) fn horizon(&self) -> Timestamp {
        let seconds = (PERIODS + 1) * self.period_seconds();
        self.clock.now() - Duration::from_secs(seconds.unsigned_abs())
    }

    /// Waits until the ledger has told everything that counts. False if it takes too long.
    pub(crate) async fn is_complete_soon(&self) -> bool {
        let mut is_complete = self.is_complete.subscribe();
        let complete = timeout(COMPLETE_TIME_MAX, is_complete.wait_for(|it| *it)).await;
        complete.is_ok_and(|told| told.is_ok())
    }

    /// Says that the ledger has told everything up to now.
    pub fn all_is_heard(&self) {
        self.is_complete.send_replace(true);
    }

    /// Takes an event into account.
    pub fn hear(&self, recorded: &Recorded) {
        let (id, event) = (recorded.envelope.submission, &recorded.envelope.event);
        let period = recorded.stored_at.timestamp() / self.period_seconds();
        let mut known = self.lock();
        if let Event::Accepted(accepted) = event {
            // A second acceptance is illegal, and what it says does not hold.
            if known.unended.contains_key(&id) {
                return;
            }
            known.unended.insert(id, accepted.principal.clone());
        }
        // `forget_old` may have run for this period already, and would not take it away before the
        // next.
        let is_too_old = period < known.period - PERIODS;
        // What was accepted before this process counts belongs to no principal that it knows.
        if let Some(principal) = known.unended.get(&id).cloned() {
            let objects = event.objects().into_iter();
            for object in objects.filter(|it| !is_too_old || !it.bucket.expires()) {
                known.principals.entry(principal.clone()).or_default().add(object, period);
            }
            let inline = event.inline_bytes();
            if inline > 0 && !is_too_old {
                known.principals.entry(principal).or_default().add_inline(inline, period);
            }
        }
        if event.is_terminal() {
            known.unended.remove(&id);
        }
    }

    /// Forgets everything: the ledger cannot be followed from where it was.
    pub fn forget(&self) {
        self.is_complete.send_replace(false);
        *self.lock() = KnownBytes::default();
    }

    fn forget_old(&self, known: &mut KnownBytes, now: Timestamp) {
        let period = now.timestamp() / self.period_seconds();
        if known.period == period {
            return;
        }
        known.period = period;
        known.principals.retain(|_, own| {
            own.forget_before(period - PERIODS);
            !own.named.is_empty() || !own.inline.is_empty()
        });
    }

    fn period_seconds(&self) -> i64 {
        let age = i64::try_from(self.limits.age.as_secs()).unwrap_or(i64::MAX);
        (age / PERIODS).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, KnownBytes> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PrincipalBytes {
    fn add(&mut self, object: &ObjectRef, period: i64) {
        if self.named.insert(object.clone(), period).is_none() {
            self.bytes += object.bytes;
        }
    }

    fn add_inline(&mut self, bytes: u64, period: i64) {
        *self.inline.entry(period).or_default() += bytes;
        self.bytes += bytes;
    }

    /// Returns the period of what is forgotten next.
    fn oldest(&self) -> Option<i64> {
        let objects = self.named.iter().filter(|(object, _)| object.bucket.expires());
        objects.map(|(_, period)| *period).chain(self.inline.keys().copied()).min()
    }

    fn forget_before(&mut self, period: i64) {
        let bytes = &mut self.bytes;
        self.named.retain(|object, named| {
            let stays = *named >= period || !object.bucket.expires();
            if !stays {
                *bytes -= object.bytes;
            }
            stays
        });
        let kept = self.inline.split_off(&period);
        *bytes -= std::mem::replace(&mut self.inline, kept).values().sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use events::event::{Accepted, Completed};
    use events::testing::{self, ManualClock, instant};
    use events::{Captured, Content, ObjectBucket};

    use super::*;

    const WEEK: Duration = Duration::from_hours(7 * 24);
    const DAY: Duration = Duration::from_hours(24);

    fn given() -> (StoredBytes, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(instant(0)));
        let limits = StoredLimits { bytes_max: 1_000, age: WEEK };
        (StoredBytes::new(limits, clock.clone()), clock)
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn object(number: u64, bytes: u64) -> ObjectRef {
        let named = ObjectRef::of(ObjectBucket::Outputs, &number.to_be_bytes());
        ObjectRef { bytes, ..named }
    }

    fn content(object: &ObjectRef) -> Content {
        Content::Object(object.clone())
    }

    /// A submission with nothing in it.
    fn accepted(principal: &str) -> Accepted {
        Accepted { principal: user(principal), files: Vec::new(), ..testing::accepted() }
    }

    /// Lets a principal's submission end now, with an object of an output.
    fn ends(stored: &StoredBytes, principal: &str, object: &ObjectRef) {
        ends_at(stored, principal, object, stored.clock.now());
    }

    fn ends_at(stored: &StoredBytes, principal: &str, object: &ObjectRef, at: Timestamp) {
        let accepted = accepted(principal);
        let stdout = Captured { content: content(object), ..Captured::default() };
        let completed = Completed { stdout, ..testing::completed(1) };
        let events = [
            Event::Accepted(Box::new(accepted)),
            Event::Started(testing::started(1)),
            Event::Completed(Box::new(completed)),
        ];
        for recorded in testing::record(events) {
            stored.hear(&Recorded { stored_at: at, ..recorded });
        }
    }

    #[test]
    fn a_principal_with_too_much_is_refused_and_others_are_not() {
        let (stored, _clock) = given();
        ends(&stored, "ada", &object(1, 999));
        stored.check(&user("ada")).unwrap();
        ends(&stored, "ada", &object(2, 1));
        let wait = stored.check(&user("ada")).unwrap_err();
        assert!((WEEK..=WEEK + DAY).contains(&wait), "{wait:?}");
        stored.check(&user("bob")).unwrap();
        assert!(stored.lock().unended.is_empty());
    }

    #[test]
    fn one_object_counts_once_however_often_it_is_named() {
        let (stored, _clock) = given();
        for _ in 0..100 {
            ends(&stored, "ada", &object(1, 600));
        }
        stored.check(&user("ada")).unwrap();
    }

    #[test]
    fn sources_and_tests_count_from_the_moment_they_are_accepted() {
        let (stored, _clock) = given();
        let stdin = content(&object(1, 1_000));
        let accepted = Accepted { stdin, ..accepted("ada") };
        for recorded in testing::record([Event::Accepted(Box::new(accepted))]) {
            stored.hear(&recorded);
        }
        stored.check(&user("ada")).unwrap_err();
    }

    #[test]
    fn sources_and_tests_count_for_as_long_as_the_ledger_names_them() {
        let (stored, clock) = given();
        for (bucket, bytes) in [(ObjectBucket::Sources, 600), (ObjectBucket::Tests, 400)] {
            let stdin = content(&ObjectRef { bucket, ..object(bytes, bytes) });
            let first = Accepted { stdin, ..accepted("ada") };
            let end = Event::Failed(testing::failed(0));
            for recorded in testing::record([Event::Accepted(Box::new(first)), end]) {
                stored.hear(&Recorded { stored_at: clock.now(), ..recorded });
            }
        }
        assert_eq!(stored.check(&user("ada")), Err(WEEK));
        clock.advance(4 * WEEK);
        assert_eq!(stored.check(&user("ada")), Err(WEEK));
        stored.check(&user("bob")).unwrap();
    }

    #[test]
    fn what_stands_in_events_counts_until_it_is_as_old_as_an_output_may_be() {
        let (stored, clock) = given();
        let text = |bytes: usize| Content::Text("x".repeat(bytes));
        for _ in 0..2 {
            let first = Accepted { stdin: text(200), ..accepted("ada") };
            let stdout = Captured { content: text(300), ..Captured::default() };
            let completed = Completed { stdout, ..testing::completed(1) };
            stored.check(&user("ada")).unwrap();
            let events = [Event::Accepted(Box::new(first)), Event::Completed(Box::new(completed))];
            for recorded in testing::record(events) {
                stored.hear(&Recorded { stored_at: clock.now(), ..recorded });
            }
        }
        let wait = stored.check(&user("ada")).unwrap_err();
        assert!((WEEK..=WEEK + DAY).contains(&wait), "{wait:?}");
        clock.advance(wait);
        stored.check(&user("ada")).unwrap();
        assert!(stored.lock().principals.is_empty());
    }

    #[test]
    fn a_second_acceptance_counts_for_no_principal() {
        let (stored, _clock) = given();
        let stdin = content(&object(1, 1_000));
        let (first, second) = (accepted("ada"), Accepted { stdin, ..accepted("bob") });
        let accepted = [first, second].map(|it| Event::Accepted(Box::new(it)));
        for recorded in testing::record(accepted) {
            stored.hear(&recorded);
        }
        stored.check(&user("bob")).unwrap();
        stored.check(&user("ada")).unwrap();
    }

    #[test]
    fn what_is_older_than_the_age_counts_no_longer() {
        let (stored, clock) = given();
        ends(&stored, "ada", &object(1, 1_000));
        clock.advance(6 * DAY);
        ends(&stored, "ada", &object(2, 500));
        let wait = stored.check(&user("ada")).unwrap_err();
        clock.advance(wait.saturating_sub(Duration::from_secs(1)));
        stored.check(&user("ada")).unwrap_err();
        clock.advance(Duration::from_secs(1));
        stored.check(&user("ada")).unwrap();
        assert_eq!(stored.lock().principals[&user("ada")].bytes, 500);
        clock.advance(2 * WEEK);
        stored.check(&user("ada")).unwrap();
        assert!(stored.lock().principals.is_empty());
    }

    #[test]
    fn what_is_too_old_does_not_count_though_it_is_read_after_the_first_request() {
        let (stored, clock) = given();
        let long_ago = clock.now();
        clock.advance(WEEK + DAY);
        stored.check(&user("ada")).unwrap();
        ends_at(&stored, "ada", &object(1, 1_000), long_ago);
        stored.check(&user("ada")).unwrap();
        ends_at(&stored, "ada", &object(1, 1_000), long_ago + DAY);
        stored.check(&user("ada")).unwrap_err();
    }

    #[test]
    fn an_outcome_of_what_was_accepted_too_long_ago_counts_for_no_principal() {
        let (stored, _clock) = given();
        let stdout = Captured { content: content(&object(1, 2_000)), ..Captured::default() };
        let completed = Completed { stdout, ..testing::completed(1) };
        for recorded in testing::record([Event::Completed(Box::new(completed))]) {
            stored.hear(&recorded);
        }
        assert!(stored.lock().principals.is_empty());
    }
}
