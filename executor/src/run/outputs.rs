//! Where a program's outputs go: into the event while they are small, else to the object store. Pure decisions; the
//! caller stores.

use events::Captured;
use events::content::{Content, INLINE_BYTES_MAX};
use sandbox::protocol;

/// An output, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Into the event.
    Inline(protocol::Captured),
    /// To the object store.
    Object(protocol::Captured),
}

/// Places outputs that share one event: together they stay within what an event may hold inline. The longest leave first.
pub fn place<const N: usize>(outputs: [protocol::Captured; N]) -> [Placed; N] {
    let outputs = outputs.map(at_character);
    let mut inline = outputs.each_ref().map(|output| output.bytes.len());
    while inline.iter().sum::<usize>() > INLINE_BYTES_MAX {
        let longest = inline.iter_mut().max().expect("there is at least one");
        *longest = 0;
    }
    let mut kept = inline.into_iter();
    outputs.map(|output| {
        if kept.next() == Some(output.bytes.len()) {
            Placed::Inline(output)
        } else {
            Placed::Object(output)
        }
    })
}

/// Puts the facts of an output and its content, wherever that lies, together.
pub fn captured(content: Content, total_bytes: u64, truncated: bool) -> Captured {
    Captured { content, bytes_total: total_bytes, truncated }
}

/// Keeps so many bytes of an output at most.
pub fn cut(mut output: protocol::Captured, bytes_max: usize) -> protocol::Captured {
    output.truncated |= output.bytes.len() > bytes_max;
    output.bytes.truncate(bytes_max);
    at_character(output)
}

/// Cuts an output that was cut already at the last whole character, if it is text up to there.
fn at_character(mut output: protocol::Captured) -> protocol::Captured {
    if output.truncated
        && let Err(error) = std::str::from_utf8(&output.bytes)
        && error.error_len().is_none()
    {
        output.bytes.truncate(error.valid_up_to());
    }
    output
}

/// Joins what a compiler wrote to its two streams.
pub fn join(stdout: protocol::Captured, stderr: protocol::Captured) -> protocol::Captured {
    let mut bytes = stdout.bytes;
    bytes.extend(stderr.bytes);
    protocol::Captured {
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
            at_character(protocol::Captured { bytes: bytes.to_vec(), total_bytes, truncated }).bytes
        };
        assert_eq!(cut("aé".as_bytes(), true), "aé".as_bytes());
        assert_eq!(cut(&"aé".as_bytes()[..2], true), b"a");
        assert_eq!(cut(&"aé".as_bytes()[..2], false), [b'a', 0xc3]);
        assert_eq!(cut(b"\xff\xc3", true), b"\xff\xc3");
        let whole = protocol::Captured { bytes: "aé".into(), total_bytes: 3, truncated: false };
        let short = super::cut(whole.clone(), 2);
        assert_eq!((short.bytes, short.total_bytes, short.truncated), (b"a".to_vec(), 3, true));
        assert_eq!(super::cut(whole.clone(), 3), whole);
    }

    fn output(length: usize) -> protocol::Captured {
        protocol::Captured {
            bytes: vec![b'x'; length],
            total_bytes: length as u64,
            truncated: false,
        }
    }

    fn placed(lengths: [usize; 2]) -> [bool; 2] {
        place(lengths.map(output)).map(|placed| matches!(placed, Placed::Inline(_)))
    }

    #[test]
    fn outputs_stay_inline_while_both_together_fit() {
        assert_eq!(placed([0, 0]), [true, true]);
        assert_eq!(placed([INLINE_BYTES_MAX, 0]), [true, true]);
        assert_eq!(placed([INLINE_BYTES_MAX - 10, 10]), [true, true]);
    }

    #[test]
    fn the_longer_one_leaves_first() {
        assert_eq!(placed([INLINE_BYTES_MAX, 1]), [false, true]);
        assert_eq!(placed([10, INLINE_BYTES_MAX]), [true, false]);
        assert_eq!(placed([INLINE_BYTES_MAX + 1, INLINE_BYTES_MAX + 2]), [false, false]);
    }

    #[test]
    fn a_compiler_s_streams_become_one() {
        let joined = join(output(2), protocol::Captured { truncated: true, ..output(3) });
        assert_eq!((joined.bytes.len(), joined.total_bytes, joined.truncated), (5, 5, true));
    }
}
