//! What is known of a running projection: for readiness and for the lag. The projection's task and
//! the routes of health share it.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use views::generation::Position;

/// A projection's state of health. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Status {
    name: &'static str,
    known: watch::Sender<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    phase: Phase,
    position: Option<Position>,
    moved_at: Instant,
    /// When it was first stopped after the last move. Kept while it tries again.
    first_stopped_at: Option<Instant>,
    /// How many events the ledger has and the view has not, when that was last asked.
    lag: i64,
}

/// What a projection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not read its position yet.
    Starting,
    /// Another process leads, and folds.
    Waiting,
    /// It folds events as they come.
    Following,
    /// It cannot go on, and tries again: the store or the ledger is away, or an event or a row
    /// makes no sense.
    Stopped(String),
}

impl Status {
    /// Makes the status of a projection that has not begun.
    pub fn new(name: &'static str) -> Self {
        let moved_at = Instant::now();
        let phase = Phase::Starting;
        let known = Known { phase, position: None, moved_at, first_stopped_at: None, lag: 0 };
        Self { name, known: watch::Sender::new(known) }
    }

    /// Returns the projection's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what the projection is doing.
    pub fn phase(&self) -> Phase {
        self.known.borrow().phase.clone()
    }

    /// Returns where the projection stands, once it knows.
    pub fn position(&self) -> Option<Position> {
        self.known.borrow().position
    }

    /// Returns the time since the view last moved.
    pub fn unmoved(&self) -> Duration {
        self.known.borrow().moved_at.elapsed()
    }

    /// Says whether the projection works, or why not.
    pub fn check(&self) -> Result<(), String> {
        let (phase, lag) = (self.phase(), self.known.borrow().lag);
        match phase {
            Phase::Following if lag < 0 => {
                Err(format!("{}: the ledger ends {} events before the view", self.name, -lag))
            }
            Phase::Following | Phase::Waiting => Ok(()),
            Phase::Starting => Err(format!("{}: has not read its position yet", self.name)),
            Phase::Stopped(why) => Err(format!("{}: {why}", self.name)),
        }
    }

    /// Waits until the view holds every event up to `sequence`.
    pub async fn reached(&self, sequence: u64) {
        let there = |known: &Known| known.position.is_some_and(|at| at.sequence() >= sequence);
        let mut known = self.known.subscribe();
        // `self` has the sender, so the wait cannot end because the channel is closed.
        let _never_closed = known.wait_for(there).await;
    }

    /// Waits until a generation holds every event up to `sequence`.
    pub async fn reached_in(&self, generation: i32, sequence: u64) {
        let there = |known: &Known| {
            let is_there = |at: Position| at.generation == generation && at.sequence() >= sequence;
            known.position.is_some_and(is_there)
        };
        let mut known = self.known.subscribe();
        let _never_closed = known.wait_for(there).await;
    }

    /// Waits until the projection cannot go on, and returns why.
    pub async fn stopped(&self) -> String {
        let mut known = self.known.subscribe();
        let stopped = known.wait_for(|known| matches!(known.phase, Phase::Stopped(_))).await;
        match stopped.map(|known| known.phase.clone()) {
            Ok(Phase::Stopped(why)) => why,
            Ok(Phase::Starting | Phase::Waiting | Phase::Following) | Err(_) => String::new(),
        }
    }

    /// Waits until the projection cannot go on here and has not moved for so long. What was before
    /// this process led does not count, nor what stops every process.
    pub(crate) async fn stopped_for(&self, time: Duration) {
        let mut known = self.known.subscribe();
        loop {
            let stopped_since = known.borrow_and_update().stopped_since();
            let stopped_for = async {
                match stopped_since {
                    Some(since) => sleep_until(since + time).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = stopped_for => return,
                _changed = known.changed() => {}
            }
        }
    }

    /// Takes in that this process leads from now on.
    pub(crate) fn lead(&self) {
        self.known.send_modify(|known| known.first_stopped_at = None);
    }

    pub(crate) fn follow(&self, position: Position) {
        self.stand(position);
        self.known.send_modify(|known| known.phase = Phase::Following);
    }

    /// Takes in where the view stands, whether or not it can go on from there.
    pub(crate) fn stand(&self, position: Position) {
        // Not `send`, which leaves the old value in place while no receiver exists.
        self.known.send_modify(|known| {
            // The runner announces the same position again after each fault, and the time of a
            // stall must not begin anew with that.
            if known.position != Some(position) {
                known.position = Some(position);
                known.moved_at = Instant::now();
                // Only here: before an event of a newer form, it follows for a moment at each try.
                known.first_stopped_at = None;
            }
        });
    }

    /// Takes in how many events the ledger has and the view has not.
    pub(crate) fn set_lag(&self, lag: i64) {
        self.known.send_modify(|known| known.lag = lag);
    }

    pub(crate) fn wait(&self) {
        // The position goes: the process that leads moves it, and knows it.
        self.known.send_modify(|known| {
            known.phase = Phase::Waiting;
            known.position = None;
            known.first_stopped_at = None;
            known.lag = 0;
        });
    }

    /// Takes in that no process can go on.
    pub(crate) fn stop_for_all(&self, why: String) {
        self.stop(why);
        self.known.send_modify(|known| known.first_stopped_at = None);
    }

    pub(crate) fn stop(&self, why: String) {
        // The position stays, so that the lag of a stopped projection goes on growing.
        self.known.send_modify(|known| {
            known.phase = Phase::Stopped(why);
            known.first_stopped_at.get_or_insert_with(Instant::now);
        });
    }
}

impl Known {
    /// Since when it has been stopped; none while it goes on.
    fn stopped_since(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::Stopped(_)) { self.first_stopped_at } else { None }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_view_that_is_ahead_of_its_ledger_is_not_well() {
        let status = Status::new("results");
        status.follow(Position { generation: 1, last: None });
        assert_eq!(status.check(), Ok(()));
        status.set_lag(-20);
        let why = status.check().unwrap_err();
        assert_eq!(why, "results: the ledger ends 20 events before the view");
        status.set_lag(7);
        assert_eq!(status.check(), Ok(()));
    }

    #[test]
    fn a_process_that_waits_for_the_lead_is_well() {
        let status = Status::new("results");
        status.set_lag(-20);
        status.wait();
        assert_eq!((status.check(), status.position()), (Ok(()), None));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_stays_stopped_has_been_stopped_for_a_time() {
        const TIME: Duration = Duration::from_secs(10);
        let status = Status::new("results");
        let stand = |generation| Position { generation, last: None };
        let stopped_within = |part| timeout(part, status.stopped_for(TIME));
        // It tries again and again, and follows until it meets what it cannot read.
        for _ in 0..2 {
            status.follow(stand(1));
            assert!(stopped_within(TIME / 4).await.is_err());
            status.stop("a newer form".to_owned());
            assert!(stopped_within(TIME / 5).await.is_err());
        }
        stopped_within(TIME / 2).await.unwrap();
        // A fault that comes after a move is another one, and so is one of another time of leading.
        status.follow(stand(2));
        status.stop("away".to_owned());
        assert!(stopped_within(TIME / 2).await.is_err());
        status.lead();
        assert!(stopped_within(TIME).await.is_err());
        status.stop("away".to_owned());
        stopped_within(2 * TIME).await.unwrap();
        // No other process could go on.
        status.stop_for_all("the ledger was set back".to_owned());
        assert!(stopped_within(2 * TIME).await.is_err());
    }
}
