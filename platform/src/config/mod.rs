//! Configuration in layers: the service's embedded defaults, then an optional file, then
//! `RUNLEDGER__SECTION__KEY`. The only place that reads the environment. What a section means is
//! its type's business.

mod bounded;
mod env;
mod error;
mod sections;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use figment::providers::{Format, Toml};
use figment::value::Dict;
use figment::{Figment, Provider};
pub use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

pub use self::bounded::Bounded;
use self::env::EnvLayer;
pub use self::error::ConfigError;
pub use self::sections::{
    AuthConfig, HttpConfig, LogConfig, LogFilter, LogFormat, MongoConfig, NatsConfig,
    OutputsConfig, PostgresConfig, TokenSecret, TokenSecretError,
};

/// What every name of ours in the environment begins with.
pub const ENV_PREFIX: &str = "RUNLEDGER__";

/// The arguments that every service takes.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceArgs {
    /// A TOML file whose keys stand above the built-in defaults and below the environment
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Load the configuration, say whether it is valid, and exit
    #[arg(long)]
    pub check_config: bool,
}

impl ServiceArgs {
    /// Loads a service's configuration from its defaults, the file named by `--config` and the
    /// environment. Returns `None` if `--check-config` asks only whether it is valid.
    pub fn load<T: DeserializeOwned>(&self, defaults: &str) -> Result<Option<T>, ConfigError> {
        let config = load(defaults, self.config.as_deref())?;
        if self.check_config {
            // Standard output may be closed. The exit code says the same.
            let _unheard = writeln!(std::io::stdout().lock(), "the configuration is valid");
            return Ok(None);
        }
        Ok(Some(config))
    }
}

/// Loads a configuration from embedded defaults (TOML text), an optional file, and the process's
/// environment.
///
/// Only variables of sections that the defaults have are read; a section without defaults of its
/// own is named by an empty table. An environment value is text where its key takes text, and a
/// TOML value otherwise.
pub fn load<T: DeserializeOwned>(defaults: &str, file: Option<&Path>) -> Result<T, ConfigError> {
    let vars = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_from(defaults, file, vars)
}

/// Does what [`load`] does, with the environment as an argument.
pub fn load_from<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    vars: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut figment = Figment::from(Toml::string(defaults));
    let known: Dict =
        figment.extract().map_err(|source| ConfigError::Defaults { source: Box::new(source) })?;
    // Services share one environment, so variables of other services' sections must not be errors
    // here.
    let mut env = EnvLayer::new(vars, &known);
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let values = Toml::string(&text).data().map_err(|e| ConfigError::syntax(path, &e))?;
        figment = figment.merge(error::FileLayer { path: path.to_owned(), values });
    }
    loop {
        match figment.clone().merge(env.clone()).extract() {
            Ok(config) => return Ok(config),
            // The loop ends, since each variable is read anew once at most.
            Err(error) if env.reread(&error) => {}
            Err(error) => return Err(ConfigError::from_figment(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
