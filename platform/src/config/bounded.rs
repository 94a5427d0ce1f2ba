//! A number whose bounds are part of its type, so that no configuration can break them.

use serde::Deserialize;

/// A number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "u32")]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<u32> for Bounded<MIN, MAX> {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if (MIN..=MAX).contains(&number) {
            return Ok(Self(number));
        }
        Err(format!("expected {MIN} to {MAX}, found {number}"))
    }
}
