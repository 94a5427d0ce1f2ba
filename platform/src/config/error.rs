//! What is wrong with a configuration, in words that name the key, where its value came from, and
//! what was expected. Never shows the value of a key that may hold a secret.

use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map};
use figment::{Metadata, Profile, Provider};
use thiserror::Error;

use super::ENV_PREFIX;
use super::env::ENV_LAYER;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The embedded defaults are not TOML: a defect of the program.
    #[error("the embedded defaults are not valid TOML")]
    Defaults {
        /// What the parser says.
        source: Box<figment::Error>,
    },
    /// The file could not be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {detail}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        detail: String,
    },
    /// A required key has no value in any layer.
    #[error("`{key}` is required: set {variable}, or the key in the file given with --config")]
    Missing {
        /// The key, dotted.
        key: String,
        /// The variable that would set it.
        variable: String,
    },
    /// A key has a value that its type does not take, or does not exist.
    #[error("`{key}` (from {origin}): {detail}")]
    Invalid {
        /// The key, dotted.
        key: String,
        /// The variable, the file, or the defaults.
        origin: String,
        /// What was expected and what was found.
        detail: String,
    },
}

impl ConfigError {
    /// Returns the error for a file that is not TOML.
    pub(super) fn syntax(path: &Path, error: &figment::Error) -> Self {
        Self::Syntax { path: path.to_owned(), detail: error.kind.to_string().trim_end().to_owned() }
    }

    /// Names key and origin of what figment found.
    pub(super) fn from_figment(error: &figment::Error) -> Self {
        let mut path = error.path.clone();
        if let Kind::MissingField(field) = &error.kind {
            path.push(field.clone().into_owned());
            return Self::Missing { key: path.join("."), variable: variable(&path) };
        }
        // figment names the key in the path in some cases, and in the kind only in others.
        if let Kind::UnknownField(field, _) = &error.kind
            && path.last() != Some(field)
        {
            path.push(field.clone());
        }
        let origin = origin(error.metadata.as_ref(), &path);
        Self::Invalid { detail: detail(&error.kind, &path), key: path.join("."), origin }
    }
}

/// Returns the variable that sets a key.
fn variable(path: &[String]) -> String {
    format!("{ENV_PREFIX}{}", path.join("__").to_ascii_uppercase())
}

fn origin(metadata: Option<&Metadata>, path: &[String]) -> String {
    match metadata {
        Some(layer) if layer.name == ENV_LAYER => variable(path),
        Some(layer) if layer.name.starts_with(FILE_LAYER) => layer.name.clone().into_owned(),
        Some(_) | None => "the built-in defaults".to_owned(),
    }
}

fn detail(kind: &Kind, path: &[String]) -> String {
    match kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("expected {expected}, found {}", shown(found, path))
        }
        Kind::UnknownField(_, valid) => {
            format!("no such key here; valid keys are {}", valid.join(", "))
        }
        Kind::UnknownVariant(found, valid) => {
            format!("expected one of {}, found {found:?}", valid.join(", "))
        }
        Kind::Message(_)
        | Kind::InvalidLength(..)
        | Kind::MissingField(_)
        | Kind::DuplicateField(_)
        | Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_)
        | Kind::Unsupported(_)
        | Kind::UnsupportedKey(..) => kind.to_string(),
    }
}

/// Shows a value, unless its key may hold a secret.
fn shown(found: &Actual, path: &[String]) -> String {
    // A URL may hold a password.
    const SECRET: [&str; 4] = ["secret", "password", "token", "url"];
    let secret = path.last().is_some_and(|key| SECRET.iter().any(|word| key.contains(word)));
    if secret { "a value of another type (not shown)".to_owned() } else { found.to_string() }
}

const FILE_LAYER: &str = "file ";

/// A file's values as a layer that knows the file's path.
pub(super) struct FileLayer {
    pub(super) path: PathBuf,
    pub(super) values: Map<Profile, Dict>,
}

impl Provider for FileLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("{FILE_LAYER}{}", self.path.display()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.values.clone())
    }
}
