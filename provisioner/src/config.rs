//! The provisioner's configuration. Its defaults stand in `defaults.toml`.

use std::time::Duration;

use events::{PoolName, QueueName};
use ledger::StreamSettings;
use platform::config::{Bounded, HttpConfig, LogConfig, NatsConfig, OutputsConfig};
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
    pub log: LogConfig,
    pub streams: StreamSettings,
    pub outputs: OutputsConfig,
    pub queues: QueuesConfig,
}

/// `[queues]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuesConfig {
    /// The pools of executors.
    pub pools: Vec<PoolName>,
    /// How long a queue waits for a sign of life before it hands a submission to another executor,
    /// in seconds.
    // An executor assumes 3 until it has looked, so less would be told too late.
    pub ack_wait_s: Bounded<3, 600>,
    /// How often to check that everything is as it must be, in seconds.
    pub check_every_s: Bounded<1, 3_600>,
}

impl QueuesConfig {
    /// Returns every queue: a pool has one for each lane and priority, whichever its executors
    /// serve, since submissions may be accepted in each.
    pub fn names(&self) -> Vec<QueueName> {
        self.pools.iter().flat_map(QueueName::of_pool).collect()
    }

    /// Returns how long a queue waits for a sign of life.
    pub fn ack_wait(&self) -> Duration {
        Duration::from_secs(self.ack_wait_s.get().into())
    }

    /// Returns the time between two checks.
    pub fn check_every(&self) -> Duration {
        Duration::from_secs(self.check_every_s.get().into())
    }
}

impl Config {
    /// Returns how streams are made.
    pub fn stream_settings(&self) -> StreamSettings {
        StreamSettings {
            monitor_urls: self.nats.monitor_urls(),
            outputs_age_s: self.outputs.age_s.get(),
            ..self.streams.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::durable_name;
    use platform::config::load_from;

    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<Config, String> {
        let password = ("RUNLEDGER__NATS__PASSWORD", "of provisioner");
        let vars = vars.iter().chain([&password]);
        let vars = vars.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        load_from(DEFAULTS, None, vars).map_err(|error| error.to_string())
    }

    #[test]
    fn streams_are_made_with_the_monitors_of_the_servers() {
        let settings = config(&[]).unwrap().stream_settings();
        assert_eq!((settings.replicas, settings.ledger_bytes_max), (1, 8 << 30));
        assert_eq!(settings.outputs_age_s, 7 * 24 * 3_600);
        assert_eq!(settings.monitor_urls, ["http://127.0.0.1:8222"]);
        let error = config(&[("RUNLEDGER__STREAMS__MONITOR_URLS", "[]")]).unwrap_err();
        assert!(error.contains("`streams.monitor_urls`"), "{error}");
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for (name, value) in [
            ("RUNLEDGER__QUEUES__ACK_WAIT_S", "2"),
            ("RUNLEDGER__QUEUES__CHECK_EVERY_S", "0"),
            ("RUNLEDGER__QUEUES__POOLS", "[\"Not A Token\"]"),
        ] {
            assert!(config(&[(name, value)]).is_err(), "{name}={value} was accepted");
        }
        assert_eq!(config(&[]).unwrap().queues.ack_wait(), Duration::from_secs(8));
    }

    #[test]
    fn the_users_file_names_each_durable_wherever_it_names_one() {
        let users = include_str!("../../deploy/nats/users.conf");
        let lines = |durable: &str| -> Vec<String> {
            let named = users.lines().filter(|line| line.contains(&format!(".{durable}")));
            named.map(|line| line.replace(durable, "DURABLE")).collect()
        };
        let queues = config(&[]).unwrap().queues.names();
        let first = lines(&durable_name(&queues[0]));
        // Two lists that deny, and one that allows acknowledgements.
        assert_eq!(first.len(), 3 + 2 + 1);
        for queue in &queues {
            assert_eq!(lines(&durable_name(queue)), first, "{queue}");
        }
    }
}
