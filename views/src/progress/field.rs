//! Fields whose form in a document is not serde's own.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SubsecRound as _};
use events::Timestamp;
use mongodb::bson;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// BSON dates have milliseconds. Times are cut before they are folded, so that a document equals
/// its fold.
const SUBSECOND_DIGITS: u16 = 3;

/// An instant as a BSON date, cut to milliseconds.
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

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        moment.0
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

/// Ids as text, where serde's own form for BSON is bytes that no person can read.
pub(super) mod text {
    use super::{Deserialize as _, Deserializer, Display, FromStr, Serializer};
    use serde::de::Error as _;

    pub(in crate::progress) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::progress) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
