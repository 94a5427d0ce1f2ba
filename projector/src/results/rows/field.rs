//! Columns: texts, numbers and hashes as the database has them, each with an error that says where it stood.

use std::fmt::Display;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as TextError, StrDeserializer};

use crate::error::{Impossible, TooLarge};

/// Where a value stands: the row that errors name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<K> {
    /// The table.
    pub(super) table: &'static str,
    /// The row's key.
    pub(super) key: K,
}

impl<K: Display> Place<K> {
    /// Names a value that cannot stand here.
    pub(super) fn impossible(&self, column: &str, why: impl Display) -> Impossible {
        let key = self.key.to_string();
        Impossible { table: self.table, column: column.to_owned(), key, why: why.to_string() }
    }

    /// Reads a number that is narrower in the ledger.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        column: &str,
        value: i64,
    ) -> Result<T, Impossible> {
        T::try_from(value).map_err(|_out_of_range| self.impossible(column, format_args!("{value}")))
    }

    /// Reads a name or an id from its text.
    pub(super) fn text<T>(&self, column: &str, text: &str) -> Result<T, Impossible>
    where
        T: FromStr<Err: Display>,
    {
        text.parse().map_err(|error| self.impossible(column, error))
    }

    /// Reads a hash, of which only the canonical spelling is stored.
    pub(super) fn digest(&self, column: &str, text: &str) -> Result<events::Digest, Impossible> {
        let digest: events::Digest = self.text(column, text)?;
        let canonical = digest.to_string() == text;
        canonical.then_some(digest).ok_or_else(|| self.impossible(column, "not in lower case"))
    }

    /// Reads one of the words of an enum of the ledger, spelled as it is in events.
    pub(super) fn word<T: DeserializeOwned>(
        &self,
        column: &str,
        word: &str,
    ) -> Result<T, Impossible> {
        T::deserialize(StrDeserializer::<TextError>::new(word))
            .map_err(|error| self.impossible(column, error))
    }

    /// Reads a JSON column.
    pub(super) fn json<'de, T: Deserialize<'de>>(
        &self,
        column: &str,
        json: &'de str,
    ) -> Result<T, Impossible> {
        serde_json::from_str(json).map_err(|error| self.impossible(column, error))
    }

    /// Turns a number of the ledger into a column's.
    pub(super) fn fits(&self, column: &'static str, value: u64) -> Result<i64, TooLarge> {
        let key = || self.key.to_string();
        i64::try_from(value).map_err(|_too_large| TooLarge {
            table: self.table,
            column,
            key: key(),
            value,
        })
    }
}

/// Writes a JSON column. What events hold always has a JSON form.
pub(super) fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("an event has no map with other keys than texts")
}
