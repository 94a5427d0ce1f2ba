//! Every object that an event refers to is there, and is what its name says (I9).

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use events::{Digest, ObjectRef};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::Message;

/// Fetches every object and compares it with its reference.
pub(super) async fn check(url: &str, messages: &[Message]) -> Result<usize> {
    let context = jetstream::new(async_nats::connect(url).await.context("connect to NATS")?);
    let mut seen = BTreeSet::new();
    for message in messages {
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
            let store = context.get_object_store(bucket).await.with_context(at)?;
            let mut object = store.get(reference.sha256.to_string()).await.with_context(at)?;
            let mut bytes = Vec::new();
            object.read_to_end(&mut bytes).await.with_context(at)?;
            ensure!(bytes.len() as u64 == reference.bytes, "{}: another length", at());
            ensure!(Digest::of(&bytes) == reference.sha256, "{}: another content", at());
        }
    }
    Ok(seen.len())
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
