//! Announcements in memory, in the order in which they came.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use command_api::announcer::CancellationAnnouncer;
use events::{Subject, SubmissionId};
use ledger::Fault;

#[derive(Debug, Default)]
pub(crate) struct FakeAnnouncer {
    pub(crate) announced: Mutex<Vec<SubmissionId>>,
    pub(crate) is_away: AtomicBool,
}

#[async_trait]
impl CancellationAnnouncer for FakeAnnouncer {
    async fn announce_cancellation(&self, subject: &Subject) -> Result<(), Fault> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err("planted".into());
        }
        self.announced.lock().unwrap().push(subject.id);
        Ok(())
    }
}
