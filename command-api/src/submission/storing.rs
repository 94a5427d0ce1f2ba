//! From a valid submission to the accepted event: what is too large for an event goes to an object store first, so that no
//! event ever refers to an object that is not there.

use events::content::ObjectRef;
use events::event::{Accepted, Case, Origin, SourceFile, Suite};
use events::{Content, Digest, ObjectBucket, UserId};

use super::placement;
use super::request::{ValidCase, ValidSubmission};
use crate::bus::Bus;
use crate::error::ApiError;

/// Stores what has to be stored and returns the event's data.
pub async fn store(
    bus: &dyn Bus,
    principal: UserId,
    valid: ValidSubmission,
) -> Result<Accepted, ApiError> {
    let (lane, request_hash) = (valid.lane(), valid.request_hash());
    let cases = valid.cases.into_iter().map(case).collect();
    let (names, mut parts): (Vec<_>, Vec<_>) =
        valid.files.into_iter().map(|file| (file.name, file.content)).unzip();
    parts.push(valid.stdin);
    let stored = place(bus, parts, cases).await?;
    let mut contents = stored.contents.into_iter();
    let files = names.into_iter().zip(contents.by_ref());
    let files = files.map(|(name, content)| SourceFile { name, content }).collect();
    Ok(Accepted {
        principal,
        lane,
        pool: valid.pool,
        language: valid.language,
        files,
        stdin: contents.next().unwrap_or_default(),
        args: valid.args,
        compiler_options: valid.compiler_options,
        limits: valid.limits,
        suite: stored.suite,
        checker: valid.checker,
        stop_on_first_failure: valid.stop_on_first_failure,
        request_hash,
        origin: Origin::Native,
    })
}

fn case(case: ValidCase) -> Case {
    Case {
        stdin: Content::inline(case.stdin),
        expected: Content::inline(case.expected),
        points: case.points,
        name: case.name,
    }
}

struct Placed {
    contents: Vec<Content>,
    suite: Option<Suite>,
}

/// Puts each part and the cases inline or into an object, as [`placement`] decides.
async fn place(bus: &dyn Bus, parts: Vec<Vec<u8>>, cases: Vec<Case>) -> Result<Placed, ApiError> {
    let suite_json = (!cases.is_empty())
        .then(|| serde_json::to_vec(&cases).expect("cases have no map with other keys than texts"));
    let suite_bytes = suite_json.as_ref().map_or(0, Vec::len);
    let lengths: Vec<usize> = parts.iter().map(Vec::len).chain([suite_bytes]).collect();
    let mut inline = placement::inline(&lengths).into_iter();
    let mut contents = Vec::with_capacity(parts.len());
    for (part, inline) in parts.into_iter().zip(inline.by_ref()) {
        contents.push(if inline {
            Content::inline(part)
        } else {
            Content::Object(put(bus, ObjectBucket::Sources, part).await?)
        });
    }
    let suite_inline = inline.next().unwrap_or(true);
    let suite = match suite_json {
        None => None,
        Some(json) if suite_inline => Some(Suite::Inline { cases, sha256: Digest::of(&json) }),
        Some(json) => {
            let count = u32::try_from(cases.len()).unwrap_or(u32::MAX);
            Some(Suite::Object { object: put(bus, ObjectBucket::Tests, json).await?, count })
        }
    };
    Ok(Placed { contents, suite })
}

async fn put(bus: &dyn Bus, bucket: ObjectBucket, bytes: Vec<u8>) -> Result<ObjectRef, ApiError> {
    Ok(bus.put_object(bucket, bytes).await?)
}
