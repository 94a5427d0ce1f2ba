//! The service's configuration. Its defaults stand in `defaults.toml`.

use std::num::NonZeroU32;

use events::{Lane, LimitPolicy};
use platform::config::{AuthConfig, HttpConfig, LogConfig, NatsConfig, OutputsConfig};
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
    pub outputs: OutputsConfig,
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

#[cfg(test)]
mod tests {
    use ledger::OBJECT_BYTES_MAX;
    use platform::config::load_from;

    use super::*;

    const SECRETS: [(&str, &str); 2] = [
        ("RUNLEDGER__AUTH__HS256_SECRET", "0123456789abcdef0123456789abcdef"),
        ("RUNLEDGER__NATS__PASSWORD", "of command-api"),
    ];

    fn config(vars: &[(&str, &str)]) -> Result<Config, String> {
        let vars = SECRETS.iter().chain(vars).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load_from(DEFAULTS, None, vars).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_limits_are_those_of_the_domain() {
        let config = config(&[]).unwrap();
        assert_eq!(config.limits, LimitPolicy::default());
    }

    #[test]
    fn the_largest_output_and_the_largest_body_fit_into_one_object() {
        let config = config(&[]).unwrap();
        assert!(config.limits.max.output_bytes as usize <= OBJECT_BYTES_MAX);
        // A byte of a text takes six at the most, when cases are written as JSON.
        assert!(6 * config.http.body_bytes_max <= OBJECT_BYTES_MAX);
    }

    #[test]
    fn a_single_limit_can_be_set() {
        let config = config(&[("RUNLEDGER__LIMITS__MAX__CPU_TIME_MS", "20000")]).unwrap();
        assert_eq!(config.limits.max.cpu_time_ms, 20_000);
        assert_eq!(config.limits.max.wall_time_ms, 30_000);
    }

    #[test]
    fn secrets_are_required_and_never_shown() {
        for missing in SECRETS.map(|(name, _)| name) {
            let others = SECRETS.iter().filter(|(name, _)| *name != missing);
            let vars = others.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let error = load_from::<Config>(DEFAULTS, None, vars).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
        let shown = format!("{:?}", config(&[]).unwrap());
        assert!(SECRETS.iter().all(|(_, text)| !shown.contains(text)), "{shown}");
    }
}
