//! The service's configuration. Its defaults stand in `defaults.toml`.

use std::num::NonZeroU32;

use events::{Lane, LimitPolicy};
use ledger::StreamSettings;
use platform::config::{AuthConfig, HttpConfig, LogConfig, NatsConfig};
use sandbox::languages::LanguagesConfig;
use serde::Deserialize;

use crate::admission::AdmissionConfig;

/// The embedded defaults.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Config {
    pub http: HttpConfig,
    pub nats: NatsConfig,
    pub auth: AuthConfig,
    pub log: LogConfig,
    pub languages: LanguagesConfig,
    pub streams: StreamSettings,
    pub ledger: LedgerConfig,
    pub admission: AdmissionConfig,
    pub limits: LimitPolicy,
    pub total_time: TotalTimeConfig,
}

/// `[ledger]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// How long an append is tried, in milliseconds.
    pub append_deadline_ms: u32,
}

/// `[total_time]`: what compiling and all runs of a submission may take together, by lane.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotalTimeConfig {
    /// In lane `run`, in milliseconds.
    pub run_ms: NonZeroU32,
    /// In lane `submit`, in milliseconds.
    pub submit_ms: NonZeroU32,
}

impl TotalTimeConfig {
    /// Returns the bound of a lane, in milliseconds.
    pub fn of(self, lane: Lane) -> u32 {
        match lane {
            Lane::Run => self.run_ms.get(),
            Lane::Submit => self.submit_ms.get(),
        }
    }
}

impl Config {
    /// Returns how streams are made.
    pub fn stream_settings(&self) -> StreamSettings {
        StreamSettings { monitor_urls: self.nats.monitor_urls(), ..self.streams.clone() }
    }
}

#[cfg(test)]
mod tests {
    use platform::config::load_from;

    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<Config, String> {
        let secret = [("RUNLEDGER__AUTH__HS256_SECRET", "0123456789abcdef0123456789abcdef")];
        let vars = secret.iter().chain(vars).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load_from(DEFAULTS, None, vars).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_limits_are_those_of_the_domain() {
        let config = config(&[]).unwrap();
        assert_eq!(config.limits, LimitPolicy::default());
    }

    #[test]
    fn streams_are_made_with_the_monitors_of_the_servers() {
        let settings = config(&[]).unwrap().stream_settings();
        assert_eq!((settings.replicas, settings.ledger_bytes_max), (1, 8 << 30));
        assert_eq!(settings.monitor_urls, ["http://127.0.0.1:8222"]);
        let error = config(&[("RUNLEDGER__STREAMS__MONITOR_URLS", "[]")]).unwrap_err();
        assert!(error.contains("`streams.monitor_urls`"), "{error}");
    }

    #[test]
    fn a_single_limit_can_be_set() {
        let config = config(&[("RUNLEDGER__LIMITS__MAX__CPU_TIME_MS", "20000")]).unwrap();
        assert_eq!(config.limits.max.cpu_time_ms, 20_000);
        assert_eq!(config.limits.max.wall_time_ms, 30_000);
    }

    #[test]
    fn the_secret_is_required() {
        let error = load_from::<Config>(DEFAULTS, None, []).unwrap_err().to_string();
        assert!(error.contains("RUNLEDGER__AUTH__HS256_SECRET"), "{error}");
    }
}
