//! The member `encoding`, and content in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::json::{Faults, Pointer};

/// How content is written in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Text,
    Base64,
}

/// Reads the member; content under an unknown encoding is taken as text, since the fault is noted.
pub(super) fn check(name: Option<&str>, root: &Pointer, faults: &mut Faults) -> Encoding {
    match name {
        None | Some("text") => Encoding::Text,
        Some("base64") => Encoding::Base64,
        Some(_) => {
            faults.push(&root.key("encoding"), "is neither text nor base64");
            Encoding::Text
        }
    }
}

impl Encoding {
    /// Returns the bytes that `content` stands for.
    pub(super) fn decode(self, content: String, at: &Pointer, faults: &mut Faults) -> Vec<u8> {
        match self {
            Self::Text => content.into_bytes(),
            Self::Base64 => STANDARD.decode(content).unwrap_or_else(|error| {
                faults.push(at, format!("is not base64: {}", described(&error)));
                Vec::new()
            }),
        }
    }
}

/// Says what is wrong without showing the content.
fn described(error: &base64::DecodeError) -> String {
    match error {
        base64::DecodeError::InvalidByte(offset, _) => {
            format!("there is a character at offset {offset} that does not belong there")
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
