//! The projector's configuration: sections that it shares with other services, and nothing of its
//! own.

use platform::config::{HttpConfig, LogConfig, MongoConfig, NatsConfig, PostgresConfig};
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
    /// Where `results` is kept.
    pub postgres: PostgresConfig,
    /// Where `progress` is kept.
    pub mongo: MongoConfig,
    pub log: LogConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_whole_configuration() {
        let config: Config = platform::config::load_from(DEFAULTS, None, []).unwrap();
        assert_eq!(config.http.listen.port(), 8084);
    }
}
