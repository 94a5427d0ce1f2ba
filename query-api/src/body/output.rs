//! One output: text where it is UTF-8, else base64, and how much of it there was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::Captured;

/// An output whose bytes are at hand, as clients read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputBody {
    /// The text, or the base64.
    pub(super) text: String,
    /// The encoding of `text`, where it is not plain.
    pub(super) encoding: Option<&'static str>,
    /// How many bytes the program wrote.
    pub(super) bytes: u64,
    /// Whether `text` is only the beginning.
    pub(super) truncated: bool,
}

impl OutputBody {
    /// Shows what was captured.
    pub(crate) fn of(captured: &Captured, bytes: Vec<u8>) -> Self {
        let (text, encoding) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            // Not with replacement characters: a client could not get back what its program wrote.
            Err(not_utf8) => (STANDARD.encode(not_utf8.as_bytes()), Some("base64")),
        };
        Self { text, encoding, bytes: captured.bytes_total, truncated: captured.truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_anything_else_is_base64() {
        let captured = Captured { bytes_total: 9, truncated: true, ..Captured::default() };
        let text = OutputBody::of(&captured, "é\0".as_bytes().to_vec());
        assert_eq!((text.text.as_str(), text.encoding), ("é\0", None));
        assert_eq!((text.bytes, text.truncated), (9, true));
        let other = OutputBody::of(&captured, vec![0xff]);
        assert_eq!((other.text.as_str(), other.encoding), ("/w==", Some("base64")));
    }
}
