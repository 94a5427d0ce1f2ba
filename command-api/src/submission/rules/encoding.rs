//! The member `encoding`, and content in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::Content;
use platform::json::{Faults, JsonPointer};

/// How content is written in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Text,
    Base64,
}

impl Encoding {
    /// Reads the member.
    pub(super) fn from_name(name: Option<&str>, faults: &mut Faults) -> Self {
        match name {
            None | Some("text") => Self::Text,
            Some("base64") => Self::Base64,
            Some(_) => {
                faults.push(&JsonPointer::root().key("encoding"), "must be text or base64");
                // As text, so that an unknown encoding is told as one fault and not as many.
                Self::Text
            }
        }
    }

    /// Returns what `content` stands for, in the form in which it stands in an event.
    pub(super) fn decode(self, content: String, at: &JsonPointer, faults: &mut Faults) -> Content {
        match self {
            Self::Text => content.into(),
            Self::Base64 => Content::inline(STANDARD.decode(content).unwrap_or_else(|error| {
                faults.push(at, format!("is not base64: {}", described(&error)));
                Vec::new()
            })),
        }
    }
}

fn described(error: &base64::DecodeError) -> String {
    // The library's own text shows a byte of the content, which may be a person's program.
    match error {
        base64::DecodeError::InvalidByte(offset, _) => {
            format!("the character at offset {offset} is not allowed")
        }
        base64::DecodeError::InvalidLastSymbol { .. } => {
            "it does not end on a whole byte".to_owned()
        }
        base64::DecodeError::InvalidLength(length) => {
            format!("it cannot have {length} characters")
        }
        base64::DecodeError::InvalidPadding => "its padding is wrong".to_owned(),
    }
}
