//! The service's configuration. Its defaults stand in `defaults.toml`.

use std::num::{NonZeroU32, NonZeroUsize};

use platform::config::{
    AuthConfig, HttpConfig, LogConfig, MongoConfig, NatsConfig, OutputsConfig, PostgresConfig,
};
use sandbox::languages::LanguagesConfig;
use serde::Deserialize;

/// The embedded defaults.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
// A misspelt key must stop the start: its default would be in force without a word.
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Config {
    pub http: HttpConfig,
    pub nats: NatsConfig,
    /// The view of submissions.
    pub postgres: PostgresConfig,
    /// The view of progress.
    pub mongo: MongoConfig,
    pub auth: AuthConfig,
    pub log: LogConfig,
    pub languages: LanguagesConfig,
    pub long_poll: LongPollConfig,
    pub outputs: OutputsConfig,
    pub large_outputs: LargeOutputsConfig,
}

/// `[long_poll]`: requests that wait for a change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPollConfig {
    /// The most requests that wait at once. Further ones are answered as if they had not asked to
    /// wait.
    pub waiting_max: NonZeroUsize,
}

/// `[large_outputs]`: outputs that are too large for an event.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeOutputsConfig {
    /// The most memory that fetched outputs take, on their way to all clients together.
    pub memory_kib_max: NonZeroU32,
}

#[cfg(test)]
mod tests {
    use platform::config::load_from;

    use super::*;

    #[test]
    fn what_may_be_secret_is_required_and_all_else_has_defaults() {
        let all = [
            ("RUNLEDGER__AUTH__HS256_SECRET", "0123456789abcdef0123456789abcdef"),
            ("RUNLEDGER__POSTGRES__URL", "postgres://127.0.0.1/runledger"),
            ("RUNLEDGER__MONGO__URL", "mongodb://127.0.0.1"),
            ("RUNLEDGER__NATS__PASSWORD", "of query-api"),
        ];
        let vars = |count: usize| {
            let given = all.iter().take(count);
            given.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let config: Config = load_from(DEFAULTS, None, vars(4)).unwrap();
        assert_eq!(config.mongo.database, "runledger");
        assert_eq!(config.nats.user, "query-api");
        assert!(config.long_poll.waiting_max.get() >= 10_000);
        for (count, missing) in [(2, "RUNLEDGER__MONGO__URL"), (3, "RUNLEDGER__NATS__PASSWORD")] {
            let error = load_from::<Config>(DEFAULTS, None, vars(count)).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
    }
}
