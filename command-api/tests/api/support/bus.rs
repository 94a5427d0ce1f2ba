//! Objects and signals in memory, in the order in which they came.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use command_api::bus::Bus;
use events::content::ObjectRef;
use events::{ObjectBucket, Subject, SubmissionId};
use ledger::{Fault, ObjectError};

#[derive(Debug, Default)]
pub(crate) struct FakeBus {
    pub(crate) objects: Mutex<Vec<(ObjectRef, Vec<u8>)>>,
    pub(crate) announced: Mutex<Vec<SubmissionId>>,
    pub(crate) is_away: AtomicBool,
}

#[async_trait]
impl Bus for FakeBus {
    async fn put_object(
        &self,
        bucket: ObjectBucket,
        bytes: Vec<u8>,
    ) -> Result<ObjectRef, ObjectError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(ObjectError::Unavailable("planted".into()));
        }
        let object = ObjectRef::of(bucket, &bytes);
        self.objects.lock().unwrap().push((object.clone(), bytes));
        Ok(object)
    }

    async fn announce_cancellation(&self, subject: &Subject) -> Result<(), Fault> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err("planted".into());
        }
        self.announced.lock().unwrap().push(subject.id);
        Ok(())
    }
}
