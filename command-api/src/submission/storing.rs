//! From a valid submission to the accepted event: what is too large for an event goes to an object
//! store first, so that no event ever refers to an object that is not there.

use events::content::stay_inline;
use events::event::{Accepted, Case, Origin, Suite};
use events::{Content, Digest, ObjectBucket, ObjectRef, Priority, UserId};
use ledger::ObjectStore;

use super::request::ValidSubmission;
use crate::admission::Admission;
use crate::config::TotalTimeConfig;
use crate::error::ApiError;

/// Where objects go, for as long as there is room.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRoom<'a> {
    /// The buckets.
    pub objects: &'a dyn ObjectStore,
    /// Says whether there is room. If there is none, only what needs it is refused.
    pub admission: &'a Admission,
}

impl ObjectRoom<'_> {
    async fn put(&self, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ApiError> {
        self.admission.may_put(bucket).await?;
        Ok(self.objects.put(bucket, bytes).await?)
    }
}

/// Stores what has to be stored and returns the event's data.
pub async fn store(
    room: ObjectRoom<'_>,
    principal: UserId,
    total_time: TotalTimeConfig,
    mut valid: ValidSubmission,
) -> Result<Accepted, ApiError> {
    // Hashed before anything moves to a store, so that the hash is of the content itself.
    let (lane, request_hash) = (valid.lane(), valid.request_hash());
    let suite = place_contents(room, &mut valid).await?;
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

/// Moves what does not fit into the event to the stores. Returns the suite, if there are cases.
async fn place_contents(
    room: ObjectRoom<'_>,
    valid: &mut ValidSubmission,
) -> Result<Option<Suite>, ApiError> {
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
            move_to_store(room, content).await?;
        }
    }
    let Some(json) = suite else { return Ok(None) };
    let cases = std::mem::take(&mut valid.cases);
    place_suite(room, cases, json, inline.all(|stays| stays)).await.map(Some)
}

/// Puts the bytes into an object, and the reference in their place.
async fn move_to_store(room: ObjectRoom<'_>, content: &mut Content) -> Result<(), ApiError> {
    let object = match std::mem::take(content).into_bytes() {
        Ok(bytes) => room.put(ObjectBucket::Sources, bytes).await?,
        Err(object) => object,
    };
    *content = Content::Object(object);
    Ok(())
}

async fn place_suite(
    room: ObjectRoom<'_>,
    cases: Vec<Case>,
    json: Vec<u8>,
    stays_inline: bool,
) -> Result<Suite, ApiError> {
    if stays_inline {
        return Ok(Suite::Inline { sha256: Digest::of(&json), cases });
    }
    let count = u32::try_from(cases.len()).unwrap_or(u32::MAX);
    Ok(Suite::Object { object: room.put(ObjectBucket::Tests, json).await?, count })
}
