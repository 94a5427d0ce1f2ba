//! JSON text into a type, and serde's words about the first fault into words for a client.

use serde::de::DeserializeOwned;

use super::JsonPointer;
use super::faults::malformed;
use crate::problem::Problem;

/// Parses a body; the problem has the pointer of the first fault.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde's "EOF while parsing" would not tell that the body was forgotten.
    if body.trim_ascii().is_empty() {
        return Err(malformed(&JsonPointer::root(), "the body is empty"));
    }
    let mut text = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut text)
        .map_err(|error| refusal(&JsonPointer::from(error.path()), error.inner()))?;
    // What stands after the object is refused, since another reader could take it for the body.
    text.end().map_err(|error| refusal(&JsonPointer::root(), &error))?;
    Ok(value)
}

fn refusal(at: &JsonPointer, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if !error.is_data() {
        return malformed(at, format!("this is not valid JSON: {text}"));
    }
    // The pointer says where, so serde's line and column are left out.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = text.strip_suffix(&place).unwrap_or(&text);
    match repeated_member(message) {
        Some(member) => malformed(&at.key(member), "this member is repeated"),
        None => malformed(at, in_json_words(message)),
    }
}

/// Returns the member that stands more than once in an object.
fn repeated_member(message: &str) -> Option<&str> {
    // serde's path ends at the object, and only its message names the member.
    message.strip_prefix("duplicate field `")?.strip_suffix('`')
}

/// Says in the words of JSON what was expected and what was found. A message of another kind stays
/// as it is.
fn in_json_words(message: &str) -> String {
    let mismatch =
        message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, expected)) = mismatch.and_then(|text| text.rsplit_once(", expected ")) else {
        return message.to_owned();
    };
    let expected = match expected {
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        other => other,
    };
    let found = match found.split(' ').next() {
        // serde shows the string itself, which may be someone's program.
        Some("string") => "a string",
        Some("sequence") => "an array",
        Some("map") => "an object",
        _ => found,
    };
    format!("expected {expected}, got {found}")
}
