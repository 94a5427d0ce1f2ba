//! Bytes inside events: inline as text or base64, or by reference to an object store.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray, VariantNames};

use crate::digest::Digest;

/// How many bytes of contents one event may hold. What is larger goes to an object store.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// How many times as long as itself a content may become as JSON. A text of control characters would
/// become six times as long, and goes as base64.
pub const INLINE_JSON_GROWTH_MAX: usize = 2;

/// The bucket that an object lies in. Its word is also its name on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Display)]
#[derive(IntoStaticStr, VariantArray)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ObjectBucket {
    /// Files and standard input of submissions.
    Sources,
    /// Outputs of programs.
    Outputs,
    /// Test suites, each one JSON array of cases.
    Tests,
}

impl ObjectBucket {
    /// Tells whether its objects go some time after they were named. The others stay for as long as
    /// an event names them.
    pub const fn expires(self) -> bool {
        match self {
            Self::Outputs => true,
            Self::Sources | Self::Tests => false,
        }
    }
}

/// A reference to an object. Its name is the hash of its content, so that a reader can check what
/// it got.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ObjectRef {
    pub bucket: ObjectBucket,
    pub sha256: Digest,
    pub bytes: u64,
}

impl ObjectRef {
    /// Names `content` as an object of `bucket`.
    pub fn of(bucket: ObjectBucket, content: &[u8]) -> Self {
        Self { bucket, sha256: Digest::of(content), bytes: content.len() as u64 }
    }
}

/// Bytes, in the form that reads best: `{"text": …}`, `{"base64": …}` or `{"object": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum Content {
    /// UTF-8 without NUL.
    Text(String),
    /// Any other bytes.
    Base64(#[serde(with = "base64_text")] Vec<u8>),
    /// What is too large for an event.
    Object(ObjectRef),
}

impl Content {
    /// Takes bytes inline: as text if they are text that JSON does not blow up.
    pub fn inline(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if json_length(&text) <= INLINE_JSON_GROWTH_MAX * text.len() => text.into(),
            Ok(text) => Self::Base64(text.into_bytes()),
            Err(not_utf8) => Self::Base64(not_utf8.into_bytes()),
        }
    }

    /// Returns the inline bytes, or the reference to fetch them by.
    pub fn bytes(&self) -> Result<&[u8], &ObjectRef> {
        match self {
            Self::Text(text) => Ok(text.as_bytes()),
            Self::Base64(bytes) => Ok(bytes),
            Self::Object(object) => Err(object),
        }
    }

    /// Returns how many bytes are inline.
    pub fn inline_bytes(&self) -> u64 {
        self.bytes().map_or(0, |bytes| bytes.len() as u64)
    }

    /// Takes the inline bytes out, or the reference to fetch them by.
    pub fn into_bytes(self) -> Result<Vec<u8>, ObjectRef> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64(bytes) => Ok(bytes),
            Self::Object(object) => Err(object),
        }
    }
}

/// Returns how many bytes a text takes as JSON, without its quotes.
fn json_length(text: &str) -> usize {
    let lengths = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    lengths.sum()
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        // A text with NUL would not fit into a column of PostgreSQL.
        if text.contains('\0') { Self::Base64(text.into_bytes()) } else { Self::Text(text) }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// Tells which parts of an event stay inline if the parts have these lengths in bytes: together at
/// most [`INLINE_BYTES_MAX`]. The longest leave first, so that there are as few objects as can be.
pub fn stay_inline(lengths: &[usize]) -> Vec<bool> {
    let mut inline = lengths.to_vec();
    while inline.iter().sum::<usize>() > INLINE_BYTES_MAX {
        // Of two parts of one length the last: an output says more than what stands beside it on
        // standard error.
        if let Some(longest) = inline.iter_mut().max() {
            *longest = 0;
        }
    }
    lengths.iter().zip(inline).map(|(length, left)| *length == left).collect()
}

/// What a program wrote to one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Captured {
    pub content: Content,
    /// How many bytes the program wrote before it ended or was stopped.
    pub bytes_total: u64,
    /// Whether `content` is only the beginning.
    pub truncated: bool,
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_stays_text_and_other_bytes_become_base64() {
        assert_eq!(Content::inline(b"hi".to_vec()), Content::Text("hi".to_owned()));
        assert_eq!(Content::inline(b"a\0b".to_vec()), Content::Base64(b"a\0b".to_vec()));
        assert_eq!(Content::inline(vec![0xff]), Content::Base64(vec![0xff]));
        let lines = "\n".repeat(10);
        assert_eq!(Content::inline(lines.clone().into_bytes()), Content::Text(lines));
    }

    proptest! {
        #[test]
        fn what_is_inline_is_at_most_twice_as_long_as_json(
            text in r#"[\x00-\x7f]{0,64}|[é"\n]{0,9}"#,
        ) {
            let json = serde_json::to_string(&Content::inline(text.clone().into_bytes())).unwrap();
            let frame = r#"{"base64":"=="}"#.len();
            prop_assert!(json.len() <= frame + INLINE_JSON_GROWTH_MAX * text.len(), "{json}");
        }
    }

    #[test]
    fn each_form_of_content_has_its_own_key_on_the_wire() {
        let object = ObjectRef::of(ObjectBucket::Outputs, b"x");
        let forms = [
            (Content::Text("é".to_owned()), r#"{"text":"é"}"#.to_owned()),
            (Content::Base64(vec![0xff, 0]), r#"{"base64":"/wA="}"#.to_owned()),
            (
                Content::Object(object.clone()),
                format!(
                    r#"{{"object":{{"bucket":"OUTPUTS","sha256":"{}","bytes":1}}}}"#,
                    object.sha256
                ),
            ),
        ];
        for (content, json) in forms {
            assert_eq!(serde_json::to_string(&content).unwrap(), json);
            assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content);
        }
    }

    #[test]
    fn parts_that_fit_together_stay_inline() {
        assert_eq!(stay_inline(&[]), Vec::<bool>::new());
        assert_eq!(stay_inline(&[INLINE_BYTES_MAX - 1, 1, 0]), [true, true, true]);
    }

    #[test]
    fn the_longest_parts_leave_first() {
        assert_eq!(stay_inline(&[INLINE_BYTES_MAX, 1]), [false, true]);
        assert_eq!(stay_inline(&[10, INLINE_BYTES_MAX, 20]), [true, false, true]);
        let half = INLINE_BYTES_MAX / 2;
        assert_eq!(stay_inline(&[half, half + 1, half + 2]), [true, false, false]);
        // Of two parts of one length the last.
        assert_eq!(stay_inline(&[half + 1, half + 1]), [true, false]);
    }

    proptest! {
        #[test]
        fn the_rest_always_fits_and_nothing_leaves_without_need(
            lengths in prop::collection::vec(0..INLINE_BYTES_MAX * 2, 0..70),
        ) {
            let places = stay_inline(&lengths);
            let sum = |wanted: bool| -> usize {
                lengths.iter().zip(&places).filter(|(_, place)| **place == wanted).map(|(l, _)| l).sum()
            };
            prop_assert!(sum(true) <= INLINE_BYTES_MAX);
            let smallest_out =
                lengths.iter().zip(&places).filter(|(_, place)| !**place).map(|(l, _)| *l).min();
            if let Some(smallest) = smallest_out {
                prop_assert!(sum(true) + smallest > INLINE_BYTES_MAX);
            }
        }
    }
}
