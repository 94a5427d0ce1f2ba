//! The outputs of a submission: text where it is UTF-8, else base64, and how much of it there was.
//! They are written piece by piece, since one output may be many MiB of JSON.

use std::str;
use std::sync::Arc;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::{Captured, ObjectRef, Submission, Timestamp};

use super::completed;

/// The most bytes of an output that are written as one piece.
// Six times as much in JSON at most. A multiple of three, so that the base64 of the pieces is the
// base64 of the whole.
const PIECE_BYTES_MAX: usize = 3 * 4_096;

/// Which output of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputName {
    Stdout,
    Stderr,
    CompileOutput,
}

impl OutputName {
    /// Every output, in the order in which clients read them.
    pub(crate) const ALL: [Self; 3] = [Self::Stdout, Self::Stderr, Self::CompileOutput];

    /// Returns the member that holds the output, with which the names of the others begin.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::CompileOutput => "compile_output",
        }
    }

    /// Returns what was captured of the output, which says where its bytes are.
    pub(crate) fn captured(self, submission: &Submission) -> Option<&Captured> {
        let completed = completed(submission);
        match self {
            Self::Stdout => completed.map(|completed| &completed.stdout),
            Self::Stderr => completed.map(|completed| &completed.stderr),
            Self::CompileOutput => submission.compiled.as_ref().map(|compiled| &compiled.output),
        }
    }

    /// Returns the object that has the output, if it does not stand in an event, and since when.
    pub(crate) fn object(self, submission: &Submission) -> Option<(&ObjectRef, Timestamp)> {
        let object = self.captured(submission)?.content.bytes().err()?;
        let stored_at = match self {
            Self::Stdout | Self::Stderr => submission.finished_at?,
            Self::CompileOutput => submission.compiled_at?,
        };
        Some((object, stored_at))
    }
}

/// The bytes of one output.
#[derive(Debug)]
pub(crate) enum OutputBytes {
    /// They stand in the submission, which other answers share.
    InEvents(Arc<Submission>, OutputName),
    /// They were fetched for this answer.
    Fetched(Vec<u8>),
}

impl OutputBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::InEvents(submission, name) => {
                let captured = name.captured(submission);
                captured.and_then(|captured| captured.content.bytes().ok()).unwrap_or_default()
            }
            Self::Fetched(bytes) => bytes,
        }
    }
}

/// What stands between the quotes of an output's JSON string, piece by piece.
#[derive(Debug)]
pub(super) struct OutputPieces {
    bytes: OutputBytes,
    is_text: bool,
    written: usize,
}

impl OutputPieces {
    pub(super) fn of(bytes: OutputBytes) -> Self {
        // Not with replacement characters: a client could not get back what its program wrote.
        let is_text = str::from_utf8(bytes.as_slice()).is_ok();
        Self { bytes, is_text, written: 0 }
    }

    /// Returns the encoding, where it is not plain.
    pub(super) fn encoding(&self) -> Option<&'static str> {
        (!self.is_text).then_some("base64")
    }

    /// Returns how many bytes are still to be written.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes.as_slice().len() - self.written
    }
}

impl Iterator for OutputPieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let (_, left) = self.bytes.as_slice().split_at(self.written);
        if left.is_empty() {
            return None;
        }
        let length = if self.is_text { whole_characters(left) } else { left.len() };
        let (piece, _) = left.split_at(length.min(PIECE_BYTES_MAX));
        let written = if self.is_text { escaped(piece) } else { STANDARD.encode(piece).into() };
        self.written += piece.len();
        Some(written)
    }
}

/// Returns how many bytes of a text may be written as one piece, so that no character is cut.
fn whole_characters(text: &[u8]) -> usize {
    let is_first = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    let mut end = PIECE_BYTES_MAX.min(text.len());
    while text.get(end).is_some_and(|byte| !is_first(byte)) {
        end -= 1;
    }
    end
}

fn escaped(text: &[u8]) -> Bytes {
    let text = str::from_utf8(text).expect("the whole is text, and no character is cut");
    let quoted = Bytes::from(serde_json::to_vec(text).expect("a text has a JSON form"));
    quoted.slice(1..quoted.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> (Vec<Bytes>, Option<&'static str>) {
        let pieces = OutputPieces::of(OutputBytes::Fetched(bytes.to_vec()));
        let encoding = pieces.encoding();
        (pieces.collect(), encoding)
    }

    #[test]
    fn text_is_text_and_anything_else_is_base64() {
        assert_eq!(written("é\0".as_bytes()), (vec![Bytes::from("é\\u0000")], None));
        assert_eq!(written(&[0xff]), (vec![Bytes::from("/w==")], Some("base64")));
        assert_eq!(written(b""), (vec![], None));
    }

    #[test]
    fn pieces_are_bounded_and_are_the_whole_in_sum() {
        let texts = ["\u{1}".repeat(50_000), "é€😀\"".repeat(9_999), "x".repeat(PIECE_BYTES_MAX)];
        for text in texts {
            let (pieces, encoding) = written(text.as_bytes());
            assert!(pieces.iter().all(|piece| piece.len() <= 6 * PIECE_BYTES_MAX));
            let json = format!("\"{}\"", str::from_utf8(&pieces.concat()).unwrap());
            assert_eq!((serde_json::from_str::<String>(&json).unwrap(), encoding), (text, None));
        }
        let bytes = vec![0xfe; 2 * PIECE_BYTES_MAX + 1];
        let (pieces, encoding) = written(&bytes);
        assert_eq!((pieces.len(), encoding), (3, Some("base64")));
        assert_eq!(STANDARD.decode(pieces.concat()).unwrap(), bytes);
    }
}
