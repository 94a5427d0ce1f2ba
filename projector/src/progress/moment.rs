//! Instants as documents have them: BSON dates, in milliseconds.

use chrono::{DateTime, NaiveDate, SubsecRound as _};
use events::Timestamp;
use mongodb::bson;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// BSON dates have milliseconds. Times are cut before they are folded, so that a document equals its fold.
const SUBSECOND_DIGITS: u16 = 3;

/// An instant, cut to milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

impl Moment {
    /// Returns the day in UTC.
    pub fn day(self) -> NaiveDate {
        self.0.date_naive()
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at.trunc_subsecs(SUBSECOND_DIGITS))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bson::DateTime::from_millis(self.0.timestamp_millis()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let date = bson::DateTime::deserialize(deserializer)?;
        let at = DateTime::from_timestamp_millis(date.timestamp_millis());
        at.map(Self).ok_or_else(|| D::Error::custom("a date out of range"))
    }
}
