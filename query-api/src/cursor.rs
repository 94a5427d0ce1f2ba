//! Where a page of a list begins, opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The sequence before which a page begins.
// A sequence and not an offset: submissions that arrive while a client pages would shift an offset.
// Not signed: a cursor selects among what its caller may see anyway, so a forged one gains nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Cursor(pub(crate) u64);

/// A text that is not a cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a cursor of this list")]
pub(crate) struct CursorError;

// A later form gets another number, so that an old cursor is refused instead of misread.
const FORM: &str = "1:";

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        URL_SAFE_NO_PAD.encode(format!("{FORM}{}", cursor.0))
    }
}

impl TryFrom<String> for Cursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, CursorError> {
        let plain = URL_SAFE_NO_PAD.decode(text).map_err(|_opaque| CursorError)?;
        let plain = String::from_utf8(plain).map_err(|_opaque| CursorError)?;
        let sequence = plain.strip_prefix(FORM).and_then(|digits| digits.parse().ok());
        sequence.map(Self).ok_or(CursorError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_refused() {
        for sequence in [0, 7, u64::MAX] {
            assert_eq!(Cursor::try_from(String::from(Cursor(sequence))), Ok(Cursor(sequence)));
        }
        for bad in ["", "7", "!", "MTo", "MTotMQ", "Mjo3"] {
            assert_eq!(Cursor::try_from(bad.to_owned()), Err(CursorError), "{bad}");
        }
    }
}
