//! Column values: texts, numbers and hashes as the database has them, each with an error that says
//! where it stood.

use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as TextError, StrDeserializer};

use super::table::JsonText;
use crate::error::{Impossible, TooLarge};

/// Where a value stands: the row that errors name.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowPlace<K> {
    pub(super) table: &'static str,
    pub(super) key: K,
}

impl<K: Display> RowPlace<K> {
    /// Names a value that cannot stand here.
    pub(super) fn impossible(
        &self,
        column: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Impossible {
        let (column, key) = (column.to_owned(), self.key.to_string());
        Impossible { table: self.table, column, key, source: source.into() }
    }

    /// Reads a number that is narrower in the ledger.
    pub(super) fn number<T>(&self, column: &str, value: i64) -> Result<T, Impossible>
    where
        T: TryFrom<i64, Error: Error + Send + Sync + 'static>,
    {
        T::try_from(value).map_err(|error| self.impossible(column, error))
    }

    /// Reads a name or an id from its text.
    pub(super) fn text<T>(&self, column: &str, text: &str) -> Result<T, Impossible>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        text.parse().map_err(|error| self.impossible(column, error))
    }

    /// Reads a hash, of which only the canonical spelling is stored.
    pub(super) fn digest(&self, column: &str, text: &str) -> Result<events::Digest, Impossible> {
        let digest: events::Digest = self.text(column, text)?;
        // Parsing takes capitals, too, but no fold writes them: such a row was changed by hand.
        let canonical = digest.to_string() == text;
        canonical.then_some(digest).ok_or_else(|| self.impossible(column, "not in lower case"))
    }

    /// Reads one of the words of an enum of the ledger, spelled as it is in events.
    pub(super) fn word<T: DeserializeOwned>(
        &self,
        column: &str,
        word: &str,
    ) -> Result<T, Impossible> {
        // Through serde, so that a column has exactly the words that events have.
        T::deserialize(StrDeserializer::<TextError>::new(word))
            .map_err(|error| self.impossible(column, error))
    }

    /// Reads a part of an event.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        column: &str,
        json: &JsonText,
    ) -> Result<T, Impossible> {
        json.read().map_err(|error| self.impossible(column, error))
    }

    /// Turns a number of the ledger into a column's.
    pub(super) fn fits(&self, column: &'static str, value: u64) -> Result<i64, TooLarge> {
        let key = || self.key.to_string();
        let (table, value) = (self.table, value);
        i64::try_from(value).map_err(|_too_large| TooLarge { table, column, key: key(), value })
    }
}
