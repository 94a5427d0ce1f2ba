//! How much room there is for outputs. It is measured regularly, so that outputs are cut long before
//! the object store or the ledger is full: one user's long outputs must not close the door for all.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use events::ObjectBucket;
use events::content::INLINE_BYTES_MAX;
use ledger::{Fault, Ledger, ObjectStore, StorageUsage};
use tracing::{info, warn};

use crate::config::RoomConfig;

/// What is kept of the outputs of one event for which the ledger has hardly any room, in bytes.
pub(crate) const ROOMLESS_BYTES: usize = 4 * 1024;

/// What may be kept of outputs. Clones are the same.
#[derive(Clone, Debug)]
pub struct OutputsRoom {
    kept_bytes_max: Arc<AtomicUsize>,
}

impl Default for OutputsRoom {
    fn default() -> Self {
        Self { kept_bytes_max: Arc::new(AtomicUsize::new(usize::MAX)) }
    }
}

impl OutputsRoom {
    /// Returns how many bytes may be kept of the outputs of one event, all together.
    pub fn kept_bytes_max(&self) -> usize {
        self.kept_bytes_max.load(Ordering::Relaxed)
    }

    /// Decides by how full the stores are.
    pub fn note(&self, ledger: &StorageUsage, outputs: &StorageUsage, config: RoomConfig) {
        let kept = if ledger.percent() >= u64::from(config.ledger_percent_max.get()) {
            ROOMLESS_BYTES
        } else if outputs.percent() >= u64::from(config.outputs_percent_max.get()) {
            INLINE_BYTES_MAX
        } else {
            usize::MAX
        };
        let before = self.kept_bytes_max.swap(kept, Ordering::Relaxed);
        let (ledger, outputs) = (ledger.percent(), outputs.percent());
        if kept < before {
            warn!(
                ledger.used_percent = ledger,
                outputs.used_percent = outputs,
                "outputs are cut from now on: there is little room for them"
            );
        } else if kept > before {
            info!(
                ledger.used_percent = ledger,
                outputs.used_percent = outputs,
                "there is more room for outputs again"
            );
        }
    }

    /// Measures the stores for ever.
    pub async fn watch(self, ledger: Ledger, objects: Arc<dyn ObjectStore>, config: RoomConfig) {
        loop {
            match usages(&ledger, objects.as_ref()).await {
                Ok((ledger, outputs)) => self.note(&ledger, &outputs, config),
                // What was measured last stays in force.
                Err(error) => {
                    let error = error.as_ref() as &dyn Error;
                    warn!(error, "cannot measure the room for outputs");
                }
            }
            tokio::time::sleep(Duration::from_millis(config.refresh_ms.get().into())).await;
        }
    }
}

async fn usages(
    ledger: &Ledger,
    objects: &dyn ObjectStore,
) -> Result<(StorageUsage, StorageUsage), Fault> {
    Ok((ledger.usage().await?, objects.usage(ObjectBucket::Outputs).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(percent: u64) -> StorageUsage {
        StorageUsage {
            bytes: percent,
            bytes_max: 100,
            messages: 1,
            first_sequence: 1,
            last_sequence: 1,
        }
    }

    #[test]
    fn outputs_are_cut_to_what_fits_into_an_event_and_then_to_a_beginning() {
        let config = RoomConfig {
            outputs_percent_max: 60_u32.try_into().unwrap(),
            ledger_percent_max: 90_u32.try_into().unwrap(),
            refresh_ms: 1_000_u32.try_into().unwrap(),
        };
        let room = OutputsRoom::default();
        let kept = |ledger, outputs| {
            room.note(&filled(ledger), &filled(outputs), config);
            room.clone().kept_bytes_max()
        };
        assert_eq!(kept(89, 59), usize::MAX);
        assert_eq!(kept(89, 60), INLINE_BYTES_MAX);
        assert_eq!(kept(90, 60), ROOMLESS_BYTES);
        assert_eq!(kept(0, 0), usize::MAX);
    }
}
