//! What is known of a running projection: for readiness and for the lag. Shared between its task and those who ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::projection::Position;

/// A projection's state of health. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Status {
    name: &'static str,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    position: Option<Position>,
    moved_at: Instant,
}

/// What a projection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It does not know yet where it stands.
    Starting,
    /// It folds events as they come.
    Following,
    /// It cannot go on, and tries again: the store or the ledger is away, or an event or a row makes no sense.
    Stopped(String),
}

impl Status {
    /// Makes the status of a projection that has not begun.
    pub fn new(name: &'static str) -> Self {
        let inner = Inner { phase: Phase::Starting, position: None, moved_at: Instant::now() };
        Self { name, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Returns the projection's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what the projection is doing.
    pub fn phase(&self) -> Phase {
        self.inner().phase.clone()
    }

    /// Returns where the projection stands, once it knows.
    pub fn position(&self) -> Option<Position> {
        self.inner().position
    }

    /// Returns the time since the view last moved.
    pub fn unmoved(&self) -> Duration {
        self.inner().moved_at.elapsed()
    }

    /// Says whether the projection works, or why not.
    pub fn check(&self) -> Result<(), String> {
        match self.phase() {
            Phase::Following => Ok(()),
            Phase::Starting => Err(format!("{}: does not know yet where it stands", self.name)),
            Phase::Stopped(why) => Err(format!("{}: {why}", self.name)),
        }
    }

    pub(crate) fn follow(&self, position: Position) {
        let mut inner = self.inner();
        inner.phase = Phase::Following;
        if inner.position != Some(position) {
            inner.position = Some(position);
            inner.moved_at = Instant::now();
        }
    }

    pub(crate) fn stop(&self, why: String) {
        self.inner().phase = Phase::Stopped(why);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
