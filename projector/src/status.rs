//! What is known of a running projection: for readiness and for the lag. The projection's task and
//! the routes of health share it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

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
}

/// What a projection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not read its position yet.
    Starting,
    /// It folds events as they come.
    Following,
    /// It cannot go on, and tries again: the store or the ledger is away, or an event or a row
    /// makes no sense.
    Stopped(String),
}

impl Status {
    /// Makes the status of a projection that has not begun.
    pub fn new(name: &'static str) -> Self {
        let known = Known { phase: Phase::Starting, position: None, moved_at: Instant::now() };
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
        match self.phase() {
            Phase::Following => Ok(()),
            Phase::Starting => Err(format!("{}: has not read its position yet", self.name)),
            Phase::Stopped(why) => Err(format!("{}: {why}", self.name)),
        }
    }

    /// Waits until the view holds every event up to `sequence`.
    pub async fn reached(&self, sequence: u64) {
        let there = |known: &Known| known.position.is_some_and(|at| at.sequence >= sequence);
        let mut known = self.known.subscribe();
        // `self` has the sender, so the wait cannot end because the channel is closed.
        let _never_closed = known.wait_for(there).await;
    }

    /// Waits until the projection cannot go on, and returns why.
    pub async fn stopped(&self) -> String {
        let mut known = self.known.subscribe();
        let stopped = known.wait_for(|known| matches!(known.phase, Phase::Stopped(_))).await;
        match stopped.map(|known| known.phase.clone()) {
            Ok(Phase::Stopped(why)) => why,
            Ok(Phase::Starting | Phase::Following) | Err(_) => String::new(),
        }
    }

    pub(crate) fn follow(&self, position: Position) {
        // Not `send`, which leaves the old value in place while no receiver exists.
        self.known.send_modify(|known| {
            known.phase = Phase::Following;
            // The runner announces the same position again after each fault, and the time of a
            // stall must not begin anew with that.
            if known.position != Some(position) {
                known.position = Some(position);
                known.moved_at = Instant::now();
            }
        });
    }

    pub(crate) fn stop(&self, why: String) {
        // The position stays, so that the lag of a stopped projection goes on growing.
        self.known.send_modify(|known| known.phase = Phase::Stopped(why));
    }
}
