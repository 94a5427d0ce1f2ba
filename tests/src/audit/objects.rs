//! Every object that an event refers to is there, and is what its name says (I9). An output may be
//! gone once it is older than its bucket keeps outputs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use events::{Clock as _, Digest, ObjectBucket, ObjectRef, Timestamp};
use platform::clock::SystemClock;
use serde_json::Value;

use super::Message;
use crate::world::World;

/// For how much longer than promised the bucket keeps an output: it may have been stored before for
/// another event.
const AGE_SPARE: Duration = Duration::from_hours(2);

/// Fetches every object and compares it with its reference. Returns how many were there.
pub(super) async fn check(world: &World, messages: &[Message]) -> Result<usize> {
    let context = world.viewer().await?;
    let (mut seen, mut found) = (BTreeSet::new(), 0);
    // The youngest event first: an object is kept for its sake.
    for message in messages.iter().rev() {
        let mut references = Vec::new();
        find(&serde_json::from_slice(&message.payload)?, &mut references);
        for reference in references {
            let bucket = reference.bucket.as_str();
            if !seen.insert((bucket, reference.sha256)) {
                continue;
            }
            let at = || {
                format!(
                    "sequence {} refers to {bucket}/{}",
                    message.recorded.sequence, reference.sha256
                )
            };
            let stream = context.get_stream(format!("OBJ_{bucket}")).await.with_context(at)?;
            let Some(bytes) = fetch(&stream, &reference).await.with_context(at)? else {
                let may_be_gone = has_aged(&stream, &reference, message.recorded.stored_at);
                ensure!(may_be_gone, "{}, which is missing", at());
                continue;
            };
            ensure!(bytes.len() as u64 == reference.bytes, "{}: another length", at());
            ensure!(Digest::of(&bytes) == reference.sha256, "{}: another content", at());
            found += 1;
        }
    }
    Ok(found)
}

async fn fetch(stream: &Stream, object: &ObjectRef) -> Result<Option<Vec<u8>>> {
    let subject = format!("object.{}.{}", object.bucket, object.sha256);
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => Ok(Some(message.payload.to_vec())),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn has_aged(stream: &Stream, object: &ObjectRef, named_at: Timestamp) -> bool {
    let age = stream.cached_info().config.max_age.saturating_sub(AGE_SPARE);
    object.bucket == ObjectBucket::Outputs && SystemClock.now() >= named_at + age
}

/// Finds `{"object": …}` anywhere in an event.
fn find(value: &Value, references: &mut Vec<ObjectRef>) {
    match value {
        Value::Object(members) => {
            let reference =
                members.get("object").and_then(|it| serde_json::from_value(it.clone()).ok());
            references.extend::<Option<ObjectRef>>(reference);
            members.values().for_each(|value| find(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| find(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
