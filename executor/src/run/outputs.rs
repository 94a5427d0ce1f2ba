//! A program's outputs on their way into an event: cut where they must be, and stored beside the
//! event where they do not fit into it. A verdict is worth more than its text: an output that finds
//! no room is cut rather than waited for.

use std::error::Error;
use std::time::Duration;

use backon::Retryable;
use events::content::{Content, stay_inline};
use events::{Captured, ObjectBucket};
use ledger::{OBJECT_BYTES_MAX, ObjectError, ObjectStore};
use metrics::counter;
use sandbox::protocol::StageOutput;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::metrics::{APPENDS_DEFERRED, OUTPUTS_CUT};
use crate::outputs_room::ROOMLESS_BYTES;
use crate::waits::until_back;

/// How long an output waits for room in the object store. Admission closes before there is none, so
/// only an operator can make some.
const ROOM_TIME_MAX: Duration = Duration::from_secs(30);

/// Puts outputs that share an event where they belong: into the event, or into the object store.
/// Together they keep `kept_bytes_max` at most. Waits as long as the object store is away; what it
/// has no room for is cut, and says so.
pub(crate) async fn store_outputs<const N: usize>(
    objects: &dyn ObjectStore,
    kept_bytes_max: usize,
    mut outputs: [StageOutput; N],
) -> [Captured; N] {
    cut_to_fit(&mut outputs, kept_bytes_max);
    let inline = stay_inline(&outputs.each_ref().map(|output| output.bytes.len()));
    let mut stored = Vec::with_capacity(N);
    for (output, is_inline) in outputs.into_iter().zip(inline) {
        stored.push(if is_inline { into_event(output) } else { store(objects, output).await });
    }
    stored.try_into().expect("each output was stored")
}

async fn store(objects: &dyn ObjectStore, mut output: StageOutput) -> Captured {
    let deadline = Instant::now() + ROOM_TIME_MAX;
    let stored = (|| objects.put(ObjectBucket::Outputs, output.bytes.clone()))
        .retry(until_back())
        .when(|error| match error {
            ObjectError::Full(_) => Instant::now() < deadline,
            // A server that takes smaller messages than ours never takes it.
            ObjectError::TooLarge(_) => false,
            ObjectError::Absent(_) | ObjectError::Corrupt(_) | ObjectError::Unavailable(_) => true,
        })
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
            counter!(OUTPUTS_CUT).increment(1);
            cut(&mut output, ROOMLESS_BYTES);
            into_event(output)
        }
    }
}

fn into_event(output: StageOutput) -> Captured {
    let StageOutput { bytes, total_bytes, truncated } = output;
    Captured { content: Content::inline(bytes), bytes_total: total_bytes, truncated }
}

/// Cuts outputs so that all together have so many bytes at most, and none more than an object may
/// have. The longest lose first.
fn cut_to_fit(outputs: &mut [StageOutput], bytes_max: usize) {
    let mut shortest_first: Vec<&mut StageOutput> = outputs.iter_mut().collect();
    shortest_first.sort_by_key(|output| output.bytes.len());
    let (mut left, mut sharers) = (bytes_max, shortest_first.len());
    for output in shortest_first {
        let share = left / sharers;
        if output.bytes.len() > share {
            counter!(OUTPUTS_CUT).increment(1);
        }
        cut(output, share.min(OBJECT_BYTES_MAX));
        left -= output.bytes.len();
        sharers -= 1;
    }
}

/// Keeps so many bytes of an output at most. One that is cut, here or before, ends at the last
/// whole character, if it is text up to there.
fn cut(output: &mut StageOutput, bytes_max: usize) {
    output.truncated |= output.bytes.len() > bytes_max;
    output.bytes.truncate(bytes_max);
    // Half a character would make the whole output look like bytes, which are shown in base64.
    if output.truncated
        && let Err(error) = std::str::from_utf8(&output.bytes)
        && error.error_len().is_none()
    {
        output.bytes.truncate(error.valid_up_to());
    }
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
            let mut output = StageOutput { bytes: bytes.to_vec(), total_bytes: 100, truncated };
            super::cut(&mut output, usize::MAX);
            output.bytes
        };
        assert_eq!(cut("aé".as_bytes(), true), "aé".as_bytes());
        assert_eq!(cut(&"aé".as_bytes()[..2], true), b"a");
        assert_eq!(cut(&"aé".as_bytes()[..2], false), [b'a', 0xc3]);
        assert_eq!(cut(b"\xff\xc3", true), b"\xff\xc3");
        let whole = StageOutput { bytes: "aé".into(), total_bytes: 3, truncated: false };
        let mut short = whole.clone();
        super::cut(&mut short, 3);
        assert_eq!(short, whole);
        super::cut(&mut short, 2);
        assert_eq!((short.bytes, short.total_bytes, short.truncated), (b"a".to_vec(), 3, true));
    }

    #[test]
    fn outputs_share_the_room_and_the_longest_lose_first() {
        let lengths = |lengths: [usize; 2], room| {
            let mut outputs = lengths.map(output);
            cut_to_fit(&mut outputs, room);
            outputs.map(|output| (output.bytes.len(), output.truncated))
        };
        assert_eq!(lengths([10, 20], 30), [(10, false), (20, false)]);
        assert_eq!(lengths([10, 30], 30), [(10, false), (20, true)]);
        assert_eq!(lengths([40, 30], 30), [(15, true), (15, true)]);
        assert_eq!(lengths([40, 0], 0), [(0, true), (0, false)]);
        let largest = OBJECT_BYTES_MAX;
        assert_eq!(lengths([largest + 1, 1], usize::MAX), [(largest, true), (1, false)]);
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
