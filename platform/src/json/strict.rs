//! JSON text into a value, strictly: a key that stands twice in one object is a fault, since two readers could believe different ones.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Faults, Pointer};
use crate::problem::{FieldFault, Problem};

/// Parses a body; the problem tells line and column of a syntax error, or the pointer of a repeated key.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::malformed("the body is empty"));
    }
    let mut text = serde_json::Deserializer::from_slice(body);
    let value: Strict =
        serde_path_to_error::deserialize(&mut text).map_err(|error| refusal(&error))?;
    text.end().map_err(|error| syntax(&error))?;
    Ok(value.0)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return syntax(error.inner());
    }
    let pointer = Pointer::root().join(error.path()).as_str().to_owned();
    Faults::from(FieldFault { pointer, detail: REPEATED.to_owned() }).into_problem()
}

fn syntax(error: &serde_json::Error) -> Problem {
    Problem::malformed(format!("the body is not valid JSON: {error}"))
}

const REPEATED: &str = "this key stands more than once in the object";

/// A value in whose objects no key is repeated.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let unused = MemberOf { map: &map, key: &key };
            let value = access.next_value_seed(unused)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a member's value if its key is new. The check is made here, and not before, so that the error's path ends in the key.
struct MemberOf<'a> {
    map: &'a Map<String, Value>,
    key: &'a str,
}

impl<'de> serde::de::DeserializeSeed<'de> for MemberOf<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.map.contains_key(self.key) {
            return Err(D::Error::custom(REPEATED));
        }
        Strict::deserialize(deserializer).map(|strict| strict.0)
    }
}
