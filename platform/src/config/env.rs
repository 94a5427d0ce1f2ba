//! The environment as a configuration layer. Keeps out the sections of other services on the same machine.

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::ENV_PREFIX;

/// The layer's name, by which an error knows that a value came from the environment.
pub(super) const ENV_LAYER: &str = "environment";

/// The variables that concern this service, by configuration key.
pub(super) struct EnvLayer {
    values: Vec<(Vec<String>, Value)>,
}

impl EnvLayer {
    /// Takes the variables of known sections; a value's type is that of its default.
    pub(super) fn new(vars: impl IntoIterator<Item = (String, String)>, sections: &Dict, defaults: &Figment) -> Self {
        let values = vars.into_iter().filter_map(|(name, text)| {
            let path: Vec<String> = name.strip_prefix(ENV_PREFIX)?.split("__").map(str::to_ascii_lowercase).collect();
            let known = path.len() > 1 && path.first().is_some_and(|section| sections.contains_key(section));
            known.then(|| {
                let default = defaults.find_value(&path.join(".")).ok();
                let value = read(text, default.as_ref());
                (path, value)
            })
        });
        Self { values: values.collect() }
    }
}

/// Reads a variable's text as the type of the default that it replaces.
fn read(text: String, default: Option<&Value>) -> Value {
    match default {
        None | Some(Value::String(..) | Value::Char(..)) => Value::from(text),
        Some(Value::Bool(..) | Value::Num(..) | Value::Empty(..) | Value::Dict(..) | Value::Array(..)) => {
            text.parse().unwrap_or_else(|_: std::convert::Infallible| unreachable!("reading a value cannot fail"))
        }
    }
}

impl Provider for EnvLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENV_LAYER)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut root = Dict::new();
        for (path, value) in &self.values {
            insert(&mut root, path, value);
        }
        Ok(Map::from([(Profile::Default, root)]))
    }
}

fn insert(dict: &mut Dict, path: &[String], value: &Value) {
    match path {
        [] => {}
        [key] => {
            dict.insert(key.clone(), value.clone());
        }
        [key, rest @ ..] => {
            let inner = dict.entry(key.clone()).or_insert_with(|| Value::from(Dict::new()));
            if !matches!(inner, Value::Dict(..)) {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
