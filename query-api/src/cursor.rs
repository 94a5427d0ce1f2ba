//! Where a page of a list begins, opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use events::LedgerPosition;
use serde::{Deserialize, Serialize};

/// The sequence before which a page begins.
// A sequence and not an offset: submissions that arrive while a client pages would shift an offset.
// Not signed: a cursor selects among what its caller may see anyway, so a forged one gains nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Cursor(pub(crate) u64);

/// The foreign message before which a page of the quarantine begins.
// Not its sequence alone: a ledger that was set back or replaced has another message there, and the
// page would begin behind both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct QuarantineCursor(pub(crate) LedgerPosition);

/// A text that is not a cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a cursor of this list")]
pub(crate) struct CursorError;

// A later form gets another number, so that an old cursor is refused instead of misread. Each list
// has its own, so that the cursor of one is refused by the others.
const FORM: &str = "1:";
const QUARANTINE_FORM: &str = "2:";

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        URL_SAFE_NO_PAD.encode(format!("{FORM}{}", cursor.0))
    }
}

impl TryFrom<String> for Cursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, CursorError> {
        let plain = plain(&text)?;
        let sequence = plain.strip_prefix(FORM).and_then(|digits| digits.parse().ok());
        sequence.map(Self).ok_or(CursorError)
    }
}

impl From<QuarantineCursor> for String {
    fn from(QuarantineCursor(place): QuarantineCursor) -> Self {
        let LedgerPosition { ledger, sequence, digest } = place;
        URL_SAFE_NO_PAD.encode(format!("{QUARANTINE_FORM}{sequence}:{ledger}:{digest}"))
    }
}

impl TryFrom<String> for QuarantineCursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, CursorError> {
        let plain = plain(&text)?;
        let place = plain.strip_prefix(QUARANTINE_FORM).and_then(|place| {
            let (sequence, rest) = place.split_once(':')?;
            let (ledger, digest) = rest.split_once(':')?;
            let (ledger, digest) = (ledger.parse().ok()?, digest.parse().ok()?);
            Some(LedgerPosition { ledger, sequence: sequence.parse().ok()?, digest })
        });
        place.map(Self).ok_or(CursorError)
    }
}

fn plain(text: &str) -> Result<String, CursorError> {
    let plain = URL_SAFE_NO_PAD.decode(text).map_err(|_opaque| CursorError)?;
    String::from_utf8(plain).map_err(|_opaque| CursorError)
}

#[cfg(test)]
mod tests {
    use events::Digest;
    use events::testing::LEDGER;

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

    #[test]
    fn a_place_in_the_quarantine_is_read_back_and_is_no_cursor_of_another_list() {
        let place = LedgerPosition { ledger: LEDGER, sequence: 7, digest: Digest::of(b"hi") };
        let cursor = String::from(QuarantineCursor(place));
        assert_eq!(QuarantineCursor::try_from(cursor.clone()), Ok(QuarantineCursor(place)));
        assert_eq!(Cursor::try_from(cursor), Err(CursorError));
        let other = String::from(Cursor(7));
        assert_eq!(QuarantineCursor::try_from(other), Err(CursorError));
        let without_digest = URL_SAFE_NO_PAD.encode(format!("2:7:{LEDGER}"));
        assert_eq!(QuarantineCursor::try_from(without_digest), Err(CursorError));
    }
}
