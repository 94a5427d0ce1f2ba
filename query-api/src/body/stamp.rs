//! Times as clients read them.

use chrono::SecondsFormat;
use events::Timestamp;
use serde::{Serialize, Serializer};

/// An instant in RFC 3339 with microseconds.
// Microseconds are all that the view keeps. With more, an answer from the ledger would differ from
// the same answer from the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) Timestamp);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_cut_to_microseconds_and_in_utc() {
        let at = Timestamp::from_timestamp(1_800_000_000, 123_456_999).unwrap();
        let json = serde_json::to_string(&Stamp(at)).unwrap();
        assert_eq!(json, r#""2027-01-15T08:00:00.123456Z""#);
    }
}
