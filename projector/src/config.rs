//! The projector's configuration: sections that it shares with other services, and that of the
//! sweep.

use std::num::NonZeroU32;

use platform::config::{
    HttpConfig, LogConfig, MongoConfig, NatsConfig, PostgresConfig, SecretString,
};
use serde::Deserialize;

/// The embedded defaults.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// What can be configured.
#[derive(Clone, Debug, Deserialize)]
// A misspelt key must stop the start: its default would be in force without a word.
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Config {
    /// Where health and metrics are served.
    pub http: HttpConfig,
    pub nats: NatsConfig,
    pub sweep: SweepConfig,
    /// Where `results` is kept.
    pub postgres: PostgresConfig,
    /// Where `progress` is kept.
    pub mongo: MongoConfig,
    pub log: LogConfig,
}

/// `[sweep]`: the removal of objects that no event names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    /// As whom it is done: no other part of the projector may remove objects.
    pub user: String,
    /// That user's password.
    pub password: SecretString,
    /// How often it is done, in seconds.
    pub every_s: NonZeroU32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_whole_configuration_but_for_the_passwords() {
        let load = |vars: Vec<(String, String)>| {
            platform::config::load_from::<Config>(DEFAULTS, None, vars)
        };
        let names = ["RUNLEDGER__NATS__PASSWORD", "RUNLEDGER__SWEEP__PASSWORD"];
        let mut vars = Vec::new();
        for name in names {
            assert!(load(vars.clone()).unwrap_err().to_string().contains(name));
            vars.push((name.to_owned(), "secret".to_owned()));
        }
        let config = load(vars).unwrap();
        assert_eq!(config.http.listen.port(), 8084);
    }
}
