//! What the work on every submission of this executor needs.

use std::sync::Arc;
use std::time::Duration;

use events::envelope::Writer;
use events::{BootId, Clock, ExecutorName};
use ledger::{KnownOffers, Ledger, ObjectStore};
use sandbox::languages::Catalog;

use super::lost::AbsentExecutors;
use crate::outputs_room::OutputsRoom;
use crate::peers::Peers;

/// Where events and objects go, how other executors are asked, and what this executor is called.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ExecutorContext {
    pub ledger: Ledger,
    pub objects: Arc<dyn ObjectStore>,
    /// How much of outputs may be kept.
    pub outputs_room: OutputsRoom,
    pub peers: Arc<dyn Peers>,
    /// Those of them that did not answer.
    pub absent: Arc<AbsentExecutors>,
    pub catalog: Arc<Catalog>,
    /// What executors have, this one included.
    pub offers: KnownOffers,
    pub clock: Arc<dyn Clock>,
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
    /// How long a submission may wait for an executor that has its language.
    pub not_here_max: Duration,
    /// For how long no executor must have had the accepted version of a language before a newer one
    /// runs it; never if absent.
    pub newer_version_after: Option<Duration>,
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
