//! Turning a value into a type, and serde's words about a wrong one into words for a client.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Pointer;
use crate::problem::FieldFault;

/// Turns the value that stands at a place into a type.
pub(super) fn typed<T: DeserializeOwned>(value: &Value, at: &Pointer) -> Result<T, FieldFault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inside = Pointer::root().join(error.path());
        let found = value.pointer(inside.as_str());
        let pointer = at.join(error.path()).as_str().to_owned();
        FieldFault { pointer, detail: detail(&error.inner().to_string(), found) }
    })
}

/// Says what was expected and what was found; a type's own message stays as it is.
fn detail(message: &str, found: Option<&Value>) -> String {
    let mismatch = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if mismatch => expected_but(&phrase(expected), found),
        Some(_) | None => message.to_owned(),
    }
}

/// Says that something else was expected.
pub(super) fn expected_but(expected: &str, found: Option<&Value>) -> String {
    match found {
        Some(found) => format!("expected {expected}, got {}", shown(found)),
        None => format!("expected {expected}"),
    }
}

/// Says what serde expects in the words of JSON.
fn phrase(expected: &str) -> String {
    match expected {
        "u8" => integer(u8::MIN, u8::MAX),
        "u16" => integer(u16::MIN, u16::MAX),
        "u32" => integer(u32::MIN, u32::MAX),
        "u64" | "usize" => integer(u64::MIN, u64::MAX),
        "i8" => integer(i8::MIN, i8::MAX),
        "i16" => integer(i16::MIN, i16::MAX),
        "i32" => integer(i32::MIN, i32::MAX),
        "i64" | "isize" => integer(i64::MIN, i64::MAX),
        "a nonzero u8" => integer(1, u8::MAX),
        "a nonzero u16" => integer(1, u16::MAX),
        "a nonzero u32" => integer(1, u32::MAX),
        "a nonzero u64" | "a nonzero usize" => integer(1, u64::MAX),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        "string or map" => "a string or an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.starts_with("enum ") => "a string".to_owned(),
        other => other.to_owned(),
    }
}

fn integer<T: std::fmt::Display>(min: T, max: T) -> String {
    format!("an integer from {min} to {max}")
}

/// Shows a value by its kind; only numbers and constants in full, since a string may be somebody's code.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
