//! Objects in memory, in the order in which they were put, and faults on demand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use events::{ObjectBucket, ObjectRef};

use crate::objects::{OBJECT_BYTES_MAX, ObjectError, ObjectStore};
use crate::store::StorageUsage;

/// Buckets in memory.
#[derive(Debug, Default)]
pub struct MemoryObjects {
    objects: Mutex<Vec<(ObjectRef, Vec<u8>)>>,
    away: AtomicBool,
    full: AtomicBool,
}

impl MemoryObjects {
    /// Answers nothing until it is told to come back.
    pub fn go_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Takes no new object until it is told that there is room.
    pub fn fill_up(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Returns what was put, in its order.
    pub fn stored(&self) -> Vec<(ObjectRef, Vec<u8>)> {
        self.objects().clone()
    }

    /// Loses an object, as a bucket does with one that has aged away.
    pub fn lose(&self, object: &ObjectRef) {
        self.objects().retain(|(stored, _)| stored != object);
    }

    fn objects(&self) -> MutexGuard<'_, Vec<(ObjectRef, Vec<u8>)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_there(&self) -> Result<(), ObjectError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(ObjectError::Unavailable("it is away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for MemoryObjects {
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ObjectError> {
        self.is_there()?;
        let object = ObjectRef::of(bucket, &bytes);
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(ObjectError::TooLarge(object));
        }
        let mut objects = self.objects();
        // A full bucket still takes what it has already: nothing is written then.
        if objects.iter().all(|(stored, _)| *stored != object) {
            if self.full.load(Ordering::SeqCst) {
                return Err(ObjectError::Full(bucket));
            }
            objects.push((object.clone(), bytes));
        }
        Ok(object)
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>, ObjectError> {
        self.is_there()?;
        let objects = self.objects();
        let found = objects.iter().find(|(stored, _)| stored == object);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| ObjectError::Absent(object.clone()))
    }

    async fn usage(&self, bucket: ObjectBucket) -> Result<StorageUsage, ObjectError> {
        self.is_there()?;
        let sizes: Vec<u64> = self
            .objects()
            .iter()
            .filter(|(stored, _)| stored.bucket == bucket)
            .map(|(stored, _)| stored.bytes)
            .collect();
        let messages = sizes.len() as u64;
        let bytes = sizes.iter().sum();
        Ok(StorageUsage {
            bytes,
            bytes_max: u64::MAX,
            messages,
            first_sequence: 1,
            last_sequence: messages,
        })
    }
}
