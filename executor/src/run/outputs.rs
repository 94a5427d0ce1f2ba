//! A program's outputs on their way into an event: cut where they must be, and stored beside the
//! event where they do not fit into it. A verdict is worth more than its text: an output that finds
//! no room is cut rather than waited for.

use std::error::Error;
use std::time::Duration;

use backon::Retryable;
use events::content::{Content, stay_inline};
use events::{Captured, ObjectBucket};
use ledger::{ObjectError, ObjectStore};
use metrics::counter;
use sandbox::protocol::StageOutput;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::metrics::APPENDS_DEFERRED;
use crate::waits::until_back;

/// How long an output waits for room in the object store. Admission closes before there is none, so
/// only an operator can make some.
const ROOM_TIME_MAX: Duration = Duration::from_secs(30);
/// What is kept of an output that found no room, in bytes.
const ROOMLESS_BYTES: usize = 4 * 1024;

/// Puts outputs that share an event where they belong: into the event, or into the object store.
/// Waits as long as the object store is away; what it has no room for is cut, and says so.
pub(crate) async fn store_outputs<const N: usize>(
    objects: &dyn ObjectStore,
    outputs: [StageOutput; N],
) -> [Captured; N] {
    let outputs = outputs.map(cut_at_character);
    let inline = stay_inline(&outputs.each_ref().map(|output| output.bytes.len()));
    let mut stored = Vec::with_capacity(N);
    for (output, is_inline) in outputs.into_iter().zip(inline) {
        stored.push(if is_inline { into_event(output) } else { store(objects, output).await });
    }
    stored.try_into().expect("each output was stored")
}

async fn store(objects: &dyn ObjectStore, output: StageOutput) -> Captured {
    let deadline = Instant::now() + ROOM_TIME_MAX;
    let stored = (|| objects.put(ObjectBucket::Outputs, output.bytes.clone()))
        .retry(until_back())
        .when(|error| !matches!(error, ObjectError::Full(_)) || Instant::now() < deadline)
        .notify(|error, _wait| {
            counter!(APPENDS_DEFERRED).increment(1);
            warn!(error = error as &dyn Error, "an output has to wait");
        })
        .await;
    match stored {
        Ok(object) => Captured {
            content: Content::Object(object),
            bytes_total: output.total_bytes,
            truncated: output.truncated,
        },
        Err(full) => {
            error!(error = &full as &dyn Error, "there is no room for an output, and it is cut");
            into_event(cut(output, ROOMLESS_BYTES))
        }
    }
}

fn into_event(output: StageOutput) -> Captured {
    let StageOutput { bytes, total_bytes, truncated } = output;
    Captured { content: Content::inline(bytes), bytes_total: total_bytes, truncated }
}

/// Keeps so many bytes of an output at most.
fn cut(mut output: StageOutput, bytes_max: usize) -> StageOutput {
    output.truncated |= output.bytes.len() > bytes_max;
    output.bytes.truncate(bytes_max);
    cut_at_character(output)
}

/// Cuts an output that was cut already at the last whole character, if it is text up to there.
fn cut_at_character(mut output: StageOutput) -> StageOutput {
    // Half a character would make the whole output look like bytes, which are shown in base64.
    if output.truncated
        && let Err(error) = std::str::from_utf8(&output.bytes)
        && error.error_len().is_none()
    {
        output.bytes.truncate(error.valid_up_to());
    }
    output
}

/// Joins what a compiler wrote to its two streams.
pub(crate) fn join(stdout: StageOutput, stderr: StageOutput) -> StageOutput {
    let mut bytes = stdout.bytes;
    bytes.extend(stderr.bytes);
    StageOutput {
        bytes,
        total_bytes: stdout.total_bytes + stderr.total_bytes,
        truncated: stdout.truncated || stderr.truncated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character_and_other_bytes_where_they_were() {
        let cut = |bytes: &[u8], truncated| {
            let total_bytes = 100;
            cut_at_character(StageOutput { bytes: bytes.to_vec(), total_bytes, truncated }).bytes
        };
        assert_eq!(cut("aé".as_bytes(), true), "aé".as_bytes());
        assert_eq!(cut(&"aé".as_bytes()[..2], true), b"a");
        assert_eq!(cut(&"aé".as_bytes()[..2], false), [b'a', 0xc3]);
        assert_eq!(cut(b"\xff\xc3", true), b"\xff\xc3");
        let whole = StageOutput { bytes: "aé".into(), total_bytes: 3, truncated: false };
        let short = super::cut(whole.clone(), 2);
        assert_eq!((short.bytes, short.total_bytes, short.truncated), (b"a".to_vec(), 3, true));
        assert_eq!(super::cut(whole.clone(), 3), whole);
    }

    fn output(length: usize) -> StageOutput {
        StageOutput { bytes: vec![b'x'; length], total_bytes: length as u64, truncated: false }
    }

    #[test]
    fn a_compiler_s_streams_become_one() {
        let joined = join(output(2), StageOutput { truncated: true, ..output(3) });
        assert_eq!((joined.bytes.len(), joined.total_bytes, joined.truncated), (5, 5, true));
    }
}
