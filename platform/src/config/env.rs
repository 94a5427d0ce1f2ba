//! The environment as a configuration layer. Keeps out the sections of other services on the same
//! machine.

use std::convert::Infallible;

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::ENV_PREFIX;

/// The layer's name, by which an error knows that a value came from the environment.
pub(super) const ENV_LAYER: &str = "environment";

/// The variables that concern this service, by configuration key.
#[derive(Clone)]
pub(super) struct EnvLayer {
    variables: Vec<Variable>,
}

#[derive(Clone)]
struct Variable {
    path: Vec<String>,
    text: String,
    /// Whether the text is to be read as a TOML value.
    as_toml: bool,
}

impl EnvLayer {
    /// Takes the variables of known sections, each as text.
    pub(super) fn new(vars: impl IntoIterator<Item = (String, String)>, sections: &Dict) -> Self {
        let variables = vars.into_iter().filter_map(|(name, text)| {
            let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase();
            let path: Vec<String> = key.split("__").map(str::to_owned).collect();
            // Variables of other services' sections stand in the same environment.
            let known = path.len() > 1 && sections.contains_key(path.first()?);
            known.then_some(Variable { path, text, as_toml: false })
        });
        Self { variables: variables.collect() }
    }

    /// Reads the variable that an error is about as a TOML value from now on, if its key does not
    /// take text. Returns whether another try makes sense.
    pub(super) fn reread(&mut self, error: &Error) -> bool {
        // Only the error tells the type of a key. If every variable were read as TOML from the
        // start, a secret of digits would lose its leading zeros.
        let of_text = matches!(&error.kind, Kind::InvalidType(Actual::Str(_), _));
        let about = |variable: &&mut Variable| !variable.as_toml && variable.path == error.path;
        match self.variables.iter_mut().find(about) {
            Some(variable) if of_text => {
                variable.as_toml = true;
                true
            }
            Some(_) | None => false,
        }
    }
}

impl Variable {
    fn value(&self) -> Value {
        let text = || Value::from(self.text.clone());
        if self.as_toml { self.text.parse().unwrap_or_else(|_: Infallible| text()) } else { text() }
    }
}

impl Provider for EnvLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENV_LAYER)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut root = Dict::new();
        for variable in &self.variables {
            insert(&mut root, &variable.path, &variable.value());
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
