//! Removing what dead executors left on the engine: containers with the mark of this installation
//! whose executor is gone. The caller knows which executors live.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use events::{BootId, SubmissionId};
use ledger::Held;
use metrics::counter;
use tracing::{info, warn};

use super::engine::{DockerEngine, EngineError, ListedContainer};
use crate::metrics::CELLS_REAPED;
use crate::peers::Peers;

/// How long NATS must find no process of an executor before its containers are removed, in seconds.
/// After a break of NATS, it may be back later than the asker, with programs in its cells.
const GONE_TIME_MIN_S: i64 = 15;
/// Younger containers are spared: their executor may not answer questions yet.
pub const AGE_MIN: Duration = Duration::from_secs(15);
/// A container of this executor that has stopped for so long was left behind by a removal that
/// failed.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(2);

/// Looks for orphans of one installation.
#[derive(Clone, Debug)]
pub struct Reaper {
    engine: DockerEngine,
    host: String,
    me: BootId,
    /// Since when NATS finds no process of an executor, in seconds since 1970.
    gone_since: HashMap<BootId, i64>,
}

impl Reaper {
    /// Makes the reaper of the executor `me`, whose own containers its pool removes. `host` is the
    /// installation's mark: two installations on one engine never remove each other's containers.
    pub fn new(engine: DockerEngine, host: String, me: BootId) -> Self {
        Self { engine, host, me, gone_since: HashMap::new() }
    }

    /// Removes every container whose executor is gone, and returns how many there were. `now_s` is
    /// the time in seconds since 1970.
    pub async fn remove_orphans(
        &mut self,
        now_s: i64,
        peers: &dyn Peers,
    ) -> Result<usize, EngineError> {
        // Each executor is asked once a sweep: an answer may take a second, and there may be a
        // hundred containers of one.
        let mut asked: HashMap<BootId, Option<i64>> = HashMap::new();
        let mut reaped = 0;
        for found in self.engine.list(&self.host).await? {
            let orphaned = match self.decide_without_asking(&found, now_s) {
                Some(decided) => decided,
                None => match found.boot {
                    // It has our mark and no boot id that can be read: no executor will ever own
                    // it.
                    None => true,
                    Some(boot) => {
                        let since = if let Some(known) = asked.get(&boot) {
                            *known
                        } else {
                            let since = self.gone_since(now_s, peers, boot).await;
                            asked.insert(boot, since);
                            since
                        };
                        since.is_some_and(|since| now_s - since >= GONE_TIME_MIN_S)
                    }
                },
            };
            if orphaned && self.remove(&found).await {
                reaped += 1;
            }
        }
        self.gone_since =
            asked.into_iter().filter_map(|(boot, since)| Some((boot, since?))).collect();
        if reaped > 0 {
            info!(containers = reaped, "orphaned containers removed");
        }
        Ok(reaped)
    }

    /// Removes what is left of this executor's own containers once its pool is closed: those that
    /// the pool does not know of, since the engine died while it made or removed them.
    pub async fn remove_own(&self) -> Result<(), EngineError> {
        for found in self.engine.list(&self.host).await? {
            if found.boot == Some(self.me) {
                self.remove(&found).await;
            }
        }
        Ok(())
    }

    /// Asks for an executor, and returns since when NATS finds no process of it, if it finds none.
    async fn gone_since(&self, now_s: i64, peers: &dyn Peers, boot: BootId) -> Option<i64> {
        let since = self.gone_since.get(&boot).copied().unwrap_or(now_s);
        is_gone(peers, boot).await.then_some(since)
    }

    /// Decides what needs no question to an executor.
    fn decide_without_asking(&self, found: &ListedContainer, now_s: i64) -> Option<bool> {
        // A clock that went back makes a container young, and the young are spared.
        let age = Duration::from_secs(u64::try_from(now_s - found.created_s).unwrap_or(0));
        if found.boot == Some(self.me) {
            return Some(!found.running && age >= FORGOTTEN_AFTER);
        }
        (age < AGE_MIN).then_some(false)
    }

    async fn remove(&self, found: &ListedContainer) -> bool {
        match self.engine.remove(&found.id).await {
            Ok(()) => {
                counter!(CELLS_REAPED).increment(1);
                true
            }
            Err(error) => {
                warn!(error = &error as &dyn Error, "an orphaned container stays");
                false
            }
        }
    }
}

/// Tells whether no process answers for an executor.
async fn is_gone(peers: &dyn Peers, boot: BootId) -> bool {
    // No submission has the nil id, so what the answer says is nothing. That there is one shows
    // that the executor lives.
    match peers.ask_holder(boot, SubmissionId::new(uuid::Uuid::nil())).await {
        Held::Gone => true,
        // An executor that is silent may be cut off from NATS for a while, with programs in its
        // cells.
        Held::Yes | Held::No | Held::Silent => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::engine::ContainerId;

    fn reaper() -> Reaper {
        let engine = DockerEngine::new("unix:///nowhere");
        Reaper::new(engine, "here".to_owned(), BootId::new(uuid::Uuid::from_u128(1)))
    }

    fn found(boot: u128, running: bool, created_s: i64) -> ListedContainer {
        let boot = Some(BootId::new(uuid::Uuid::from_u128(boot)));
        ListedContainer { id: ContainerId::new("c"), boot, running, created_s }
    }

    #[test]
    fn the_young_are_spared_and_the_others_are_asked_about() {
        assert_eq!(reaper().decide_without_asking(&found(2, true, 1_000), 1_010), Some(false));
        assert_eq!(reaper().decide_without_asking(&found(2, true, 1_000), 1_015), None);
        // A clock that went back makes everything young.
        assert_eq!(reaper().decide_without_asking(&found(2, true, 1_000), 900), Some(false));
    }

    #[test]
    fn our_own_stay_unless_they_were_forgotten() {
        assert_eq!(reaper().decide_without_asking(&found(1, true, 0), 1_000_000), Some(false));
        assert_eq!(reaper().decide_without_asking(&found(1, false, 1_000), 1_100), Some(false));
        assert_eq!(reaper().decide_without_asking(&found(1, false, 1_000), 1_120), Some(true));
    }
}
