//! From a valid submission to the accepted event: what is too large for an event goes to an object
//! store first, so that no event ever refers to an object that is not there.

use events::content::stay_inline;
use events::event::{Accepted, Case, Origin, Suite};
use events::{Content, Digest, ObjectBucket, Priority, UserId};
use ledger::{ObjectError, ObjectStore};

use super::request::ValidSubmission;
use crate::config::TotalTimeConfig;

/// Stores what has to be stored and returns the event's data.
pub async fn store(
    objects: &dyn ObjectStore,
    principal: UserId,
    total_time: TotalTimeConfig,
    mut valid: ValidSubmission,
) -> Result<Accepted, ObjectError> {
    // Hashed before anything moves to a store, so that the hash is of the content itself.
    let (lane, request_hash) = (valid.lane(), valid.request_hash());
    let suite = (!valid.cases.is_empty())
        .then(|| serde_json::to_vec(&valid.cases).expect("cases are made of texts and numbers"));
    let files = valid.files.iter_mut().map(|file| &mut file.content);
    let contents: Vec<&mut Content> = files.chain([&mut valid.stdin]).collect();
    let lengths = contents.iter().map(|content| content.bytes().map_or(0, <[u8]>::len));
    let suite_length = suite.as_ref().map_or(0, Vec::len);
    let inline = stay_inline(&lengths.chain([suite_length]).collect::<Vec<_>>());
    let mut inline = inline.into_iter();
    for (content, stays) in contents.into_iter().zip(inline.by_ref()) {
        if !stays {
            move_to_store(objects, content).await?;
        }
    }
    let suite = match suite {
        None => None,
        Some(json) => {
            Some(place_suite(objects, valid.cases, json, inline.all(|stays| stays)).await?)
        }
    };
    Ok(Accepted {
        principal,
        end_user: valid.end_user,
        lane,
        // Decided right before the append, by what waits then.
        priority: Priority::Normal,
        pool: valid.pool,
        language: valid.language,
        files: valid.files,
        stdin: valid.stdin,
        args: valid.args,
        compiler_options: valid.compiler_options,
        limits: valid.limits,
        total_time_ms: total_time.of(lane),
        suite,
        checker: valid.checker,
        stop_on_first_failure: valid.stop_on_first_failure,
        request_hash,
        origin: Origin::Native,
    })
}

/// Puts the bytes into an object, and the reference in their place.
async fn move_to_store(
    objects: &dyn ObjectStore,
    content: &mut Content,
) -> Result<(), ObjectError> {
    let object = match std::mem::take(content).into_bytes() {
        Ok(bytes) => objects.put(ObjectBucket::Sources, bytes).await?,
        Err(object) => object,
    };
    *content = Content::Object(object);
    Ok(())
}

async fn place_suite(
    objects: &dyn ObjectStore,
    cases: Vec<Case>,
    json: Vec<u8>,
    stays_inline: bool,
) -> Result<Suite, ObjectError> {
    if stays_inline {
        return Ok(Suite::Inline { sha256: Digest::of(&json), cases });
    }
    let count = u32::try_from(cases.len()).unwrap_or(u32::MAX);
    Ok(Suite::Object { object: objects.put(ObjectBucket::Tests, json).await?, count })
}
