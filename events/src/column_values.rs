//! What may stand in members of events that stores keep in columns of their own. What PostgreSQL
//! cannot hold would stop the view, so such bytes are no event, the same for every reader.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a text without NUL, which the type `text` refuses.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    plain(String::deserialize(deserializer)?)
}

/// The same for a text that may be absent.
pub(crate) fn text_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(plain).transpose()
}

fn plain<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("a text with a NUL"));
    }
    Ok(text)
}

/// Reads a number that fits into a `bigint`.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if i64::try_from(number).is_err() {
        return Err(D::Error::custom("a number above 2^63 - 1"));
    }
    Ok(number)
}
