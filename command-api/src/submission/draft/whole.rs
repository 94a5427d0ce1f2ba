//! A whole number of any size, so that a number that is too large is out of bounds (422) and not of
//! a wrong type (400).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A whole number. One beyond the range of `i64` stands at the end of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WholeNumber(pub(crate) i64);

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = WholeNumber;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<WholeNumber, E> {
        Ok(WholeNumber(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<WholeNumber, E> {
        Ok(WholeNumber(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<WholeNumber, E> {
        // serde_json reads an integer of more than 64 bits as a floating point number.
        const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
        if value >= TWO_TO_63 {
            Ok(WholeNumber(i64::MAX))
        } else if value < -TWO_TO_63 {
            Ok(WholeNumber(i64::MIN))
        } else {
            Err(E::invalid_type(Unexpected::Float(value), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_any_size_are_taken_and_nothing_else() {
        for (json, expected) in [
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("18446744073709551615", Some(i64::MAX)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(i64::MIN)),
            ("1.5", None),
            ("5.0", None),
            ("\"5\"", None),
            ("true", None),
            ("[]", None),
        ] {
            let read = serde_json::from_str::<WholeNumber>(json).ok().map(|whole| whole.0);
            assert_eq!(read, expected, "{json}");
        }
    }
}
