//! One output: text where it is UTF-8, else base64, and how much of it there was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// An output whose bytes are at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) bytes_total: u64,
    pub(crate) truncated: bool,
}

impl OutputBody {
    /// Adds the members `<name>`, `<name>_bytes`, `<name>_truncated` and, for base64, `<name>_encoding`. An output that
    /// there is none of yet is null.
    pub(crate) fn add(output: Option<Self>, name: &str, members: &mut Map<String, Value>) {
        let Some(Self { bytes, bytes_total, truncated }) = output else {
            members.insert(name.to_owned(), Value::Null);
            return;
        };
        let (text, encoding) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(not_utf8) => (STANDARD.encode(not_utf8.as_bytes()), Some("base64")),
        };
        members.insert(name.to_owned(), text.into());
        if let Some(encoding) = encoding {
            members.insert(format!("{name}_encoding"), encoding.into());
        }
        members.insert(format!("{name}_bytes"), bytes_total.into());
        members.insert(format!("{name}_truncated"), truncated.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(output: Option<OutputBody>) -> Value {
        let mut members = Map::new();
        OutputBody::add(output, "stdout", &mut members);
        members.into()
    }

    #[test]
    fn text_is_text_and_anything_else_is_base64() {
        let output = |bytes: &[u8]| {
            Some(OutputBody { bytes: bytes.to_vec(), bytes_total: 9, truncated: true })
        };
        assert_eq!(
            members(output("é\0".as_bytes())),
            json!({"stdout": "é\u{0}", "stdout_bytes": 9, "stdout_truncated": true})
        );
        assert_eq!(
            members(output(&[0xff])),
            json!({"stdout": "/w==", "stdout_encoding": "base64", "stdout_bytes": 9, "stdout_truncated": true})
        );
        assert_eq!(members(None), json!({"stdout": null}));
    }
}
