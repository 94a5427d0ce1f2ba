//! What the work on every submission of this executor needs.

use std::sync::Arc;
use std::time::Duration;

use events::envelope::Writer;
use events::{BootId, ExecutorName};
use ledger::{Ledger, ObjectStore};
use sandbox::languages::Catalog;

use super::lost::AbsentExecutors;
use crate::peers::Peers;

/// Where events and objects go, how other executors are asked, and what this executor is called.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ExecutorContext {
    pub ledger: Ledger,
    pub objects: Arc<dyn ObjectStore>,
    pub peers: Arc<dyn Peers>,
    /// Those of them that did not answer.
    pub absent: Arc<AbsentExecutors>,
    pub catalog: Arc<Catalog>,
    pub identity: ExecutorIdentity,
    pub settings: AttemptSettings,
}

/// Who this executor is, in events.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ExecutorIdentity {
    pub name: ExecutorName,
    /// Made anew at each start, so that a restarted executor does not take an attempt of its
    /// predecessor for its own.
    pub boot: BootId,
    /// The release of the kernel that cells run on.
    pub kernel: String,
    pub cpu_model: String,
}

/// What bounds an attempt.
#[derive(Clone, Copy, Debug)]
pub struct AttemptSettings {
    /// Attempts that a submission gets.
    pub attempts_max: u32,
    /// How long the queue waits for a sign of life.
    pub ack_wait: Duration,
}

impl ExecutorIdentity {
    /// Returns what this executor's events carry, as part of the trace that the submission was
    /// accepted in.
    pub(super) fn writer(&self, traceparent: Option<String>) -> Writer {
        Writer {
            source: format!("/executor/{}", self.name),
            actor: format!("executor:{}", self.name),
            instance: self.boot,
            traceparent,
        }
    }
}
