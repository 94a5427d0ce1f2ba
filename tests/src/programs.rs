//! Programs to submit, and helpers that read their outputs.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A submission of one Python file.
pub fn python(source: &str) -> Value {
    json!({ "language": "python", "source": source })
}

/// A submission of one C file.
pub fn c(source: &str) -> Value {
    json!({ "language": "c", "source": source })
}

/// Returns an output that came as text.
pub fn text<'a>(view: &'a Value, output: &str) -> Result<&'a str> {
    view[output].as_str().with_context(|| format!("there is no {output}: {view}"))
}

/// Returns an output that came as base64.
pub fn bytes(view: &Value, output: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text(view, output)?).context("decode base64")
}

/// Encodes base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Checks that an answer has each of these members.
pub fn expect(view: &Value, expected: &Value) -> Result<()> {
    for (name, value) in expected.as_object().context("an object is expected")? {
        anyhow::ensure!(view[name] == *value, "{name} is {}, not {value}: {view}", view[name]);
    }
    Ok(())
}
