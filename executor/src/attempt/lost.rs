//! When the attempt of another executor counts as lost. Writes nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use events::event::LostReason;
use events::{BootId, SubmissionId};
use ledger::Held;
use tokio::time::Instant;

use crate::peers::Peers;

/// How long NATS must find no process of an executor before it counts as gone. Once is not enough:
/// after a break of NATS, the asker may be back before it.
const GONE_TIME_MIN: Duration = Duration::from_secs(3);
/// How long an executor may be silent before it counts as gone. It has missed its heartbeats
/// already. If it was only stopped, its next append finds the place taken, and it reports nothing.
const SILENT_TIME_MAX: Duration = Duration::from_secs(45);
/// When an executor that did not answer is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// After how long without a question an absence is forgotten: it may have ended meanwhile.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

/// What is known of the executor that began an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// It works on the submission.
    Works,
    /// The attempt is lost.
    Lost(LostReason),
    /// It may come back: ask again then.
    Unknown(Duration),
}

/// The executors that did not answer. All submissions of one share what is known of it, so that a
/// hundred of them cost no more time than one.
#[derive(Debug, Default)]
pub struct AbsentExecutors(Mutex<HashMap<BootId, Absence>>);

#[derive(Clone, Copy, Debug)]
struct Absence {
    since: Instant,
    /// Since when NATS finds no process of it.
    gone_since: Option<Instant>,
    asked_at: Instant,
}

impl AbsentExecutors {
    /// Asks the executor that began an attempt whether it still holds the submission.
    pub(super) async fn ask(&self, peers: &dyn Peers, boot: BootId, id: SubmissionId) -> Holder {
        if let Some(absence) = self.just_asked(boot) {
            return absence.holder();
        }
        let is_gone = match peers.ask_holder(boot, id).await {
            Held::Yes => return self.answered(boot, Holder::Works),
            Held::No => return self.answered(boot, Holder::Lost(LostReason::NotHeld)),
            Held::Gone => true,
            Held::Silent => false,
        };
        let now = Instant::now();
        let mut absent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        absent.retain(|_, absence| absence.asked_at.elapsed() < FORGOTTEN_AFTER);
        let known = absent.get(&boot);
        let since = known.map_or(now, |absence| absence.since);
        let gone_before = known.and_then(|absence| absence.gone_since);
        let gone_since = is_gone.then(|| gone_before.unwrap_or(now));
        let absence = Absence { since, gone_since, asked_at: now };
        absent.insert(boot, absence);
        absence.holder()
    }

    fn just_asked(&self, boot: BootId) -> Option<Absence> {
        let absent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(&boot).copied().filter(|absence| absence.asked_at.elapsed() < ASK_AGAIN_AFTER)
    }

    fn answered(&self, boot: BootId, holder: Holder) -> Holder {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&boot);
        holder
    }
}

impl Absence {
    fn holder(self) -> Holder {
        let is_gone = self.gone_since.is_some_and(|since| since.elapsed() >= GONE_TIME_MIN);
        if is_gone || self.since.elapsed() >= SILENT_TIME_MAX {
            return Holder::Lost(LostReason::ExecutorGone);
        }
        Holder::Unknown(ASK_AGAIN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use uuid::Uuid;

    use super::*;

    /// Counts the questions, and always gives one answer.
    #[derive(Debug)]
    struct Counted(AtomicU32, Held);

    #[async_trait]
    impl Peers for Counted {
        async fn ask_holder(&self, _boot: BootId, _id: SubmissionId) -> Held {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1
        }
    }

    fn boot() -> BootId {
        BootId::new(Uuid::from_u128(7))
    }

    fn id(number: u128) -> SubmissionId {
        SubmissionId::new(Uuid::from_u128(number))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_submissions_of_an_absent_executor_ask_it_once() {
        let (absent, peers) =
            (AbsentExecutors::default(), Counted(AtomicU32::new(0), Held::Silent));
        for number in 0..100 {
            let holder = absent.ask(&peers, boot(), id(number)).await;
            assert_eq!(holder, Holder::Unknown(ASK_AGAIN_AFTER));
        }
        assert_eq!(peers.0.load(Ordering::SeqCst), 1);
        // What is known in the end holds for all of them, too.
        let mut holder = Holder::Unknown(ASK_AGAIN_AFTER);
        while let Holder::Unknown(delay) = holder {
            tokio::time::sleep(delay).await;
            holder = absent.ask(&peers, boot(), id(0)).await;
        }
        assert_eq!(holder, Holder::Lost(LostReason::ExecutorGone));
        let asked = peers.0.load(Ordering::SeqCst);
        for number in 0..100 {
            assert_eq!(absent.ask(&peers, boot(), id(number)).await, holder);
        }
        assert_eq!(peers.0.load(Ordering::SeqCst), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_before_it_does_not_make_one_missing_answer_death() {
        let absent = AbsentExecutors::default();
        let silent = Counted(AtomicU32::new(0), Held::Silent);
        let gone = Counted(AtomicU32::new(0), Held::Gone);
        absent.ask(&silent, boot(), id(0)).await;
        tokio::time::sleep(2 * GONE_TIME_MIN).await;
        assert_eq!(absent.ask(&gone, boot(), id(0)).await, Holder::Unknown(ASK_AGAIN_AFTER));
        tokio::time::sleep(GONE_TIME_MIN).await;
        assert_eq!(absent.ask(&gone, boot(), id(0)).await, Holder::Lost(LostReason::ExecutorGone));
    }

    #[tokio::test(start_paused = true)]
    async fn one_missing_answer_is_not_death_and_an_answer_ends_an_absence() {
        let absent = AbsentExecutors::default();
        let gone = Counted(AtomicU32::new(0), Held::Gone);
        let back = Counted(AtomicU32::new(0), Held::Yes);
        assert_eq!(absent.ask(&gone, boot(), id(0)).await, Holder::Unknown(ASK_AGAIN_AFTER));
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
        assert_eq!(absent.ask(&back, boot(), id(0)).await, Holder::Works);
        assert_eq!(absent.ask(&gone, boot(), id(0)).await, Holder::Unknown(ASK_AGAIN_AFTER));
        // An absence of long ago says nothing about today.
        tokio::time::sleep(FORGOTTEN_AFTER).await;
        assert_eq!(absent.ask(&gone, boot(), id(0)).await, Holder::Unknown(ASK_AGAIN_AFTER));
        tokio::time::sleep(GONE_TIME_MIN).await;
        let holder = absent.ask(&gone, boot(), id(0)).await;
        assert_eq!(holder, Holder::Lost(LostReason::ExecutorGone));
    }
}
