//! The member `checker`: a name, or an object with a name and what it needs.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Number;

/// A checker as it was asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct DraftChecker {
    pub(crate) name: String,
    pub(crate) tolerance: Option<Number>,
    /// Whether it came as an object, which decides which place a fault of the name has.
    pub(crate) in_object: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    r#type: String,
    #[serde(default)]
    tolerance: Option<Number>,
}

impl<'de> Deserialize<'de> for DraftChecker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CheckerVisitor)
    }
}

struct CheckerVisitor;

impl<'de> Visitor<'de> for CheckerVisitor {
    type Value = DraftChecker;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<DraftChecker, E> {
        Ok(DraftChecker { name: name.to_owned(), tolerance: None, in_object: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<DraftChecker, A::Error> {
        let Members { r#type: name, tolerance } =
            Members::deserialize(MapAccessDeserializer::new(access))?;
        Ok(DraftChecker { name, tolerance, in_object: true })
    }
}
