//! A list of words: an array of strings, or one string that is split at white space.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// The words. Each element of an array is one word, spaces included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Words, E> {
        Ok(Words(value.split_whitespace().map(str::to_owned).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Words, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(access)).map(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_split_and_an_array_is_taken_as_it_is() {
        for (json, expected) in [
            (r#""""#, Some(vec![])),
            (r#"" -O2\t-Wall ""#, Some(vec!["-O2", "-Wall"])),
            (r#"["-D A", ""]"#, Some(vec!["-D A", ""])),
            ("7", None),
            ("{}", None),
            ("[1]", None),
        ] {
            let read = serde_json::from_str::<Words>(json).ok().map(|words| words.0);
            assert_eq!(read, expected.map(|words| words.into_iter().map(str::to_owned).collect()));
        }
    }
}
