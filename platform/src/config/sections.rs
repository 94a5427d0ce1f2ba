//! The sections that several services share. A service's configuration is a struct of these and of
//! sections of its own.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// `[http]`: the address that a service listens on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen, such as `127.0.0.1:8081`.
    #[serde(deserialize_with = "socket_address")]
    pub listen: SocketAddr,
    /// The largest request body that is read, in bytes.
    #[serde(default = "default_body_bytes_max")]
    pub body_bytes_max: usize,
}

fn default_body_bytes_max() -> usize {
    crate::json::BODY_BYTES_MAX
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_same_in_other_words| {
        serde::de::Error::custom(format_args!(
            "expected an address and port such as 127.0.0.1:8081, found {text:?}"
        ))
    })
}

/// `[nats]`: the event bus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// The servers, such as `nats://127.0.0.1:4222`; several are separated by commas.
    // No password stands in it: addresses are logged.
    pub url: String,
    /// As whom the service connects: each has a user of its own in `users.conf`.
    pub user: String,
    /// That user's password.
    pub password: SecretString,
    /// The monitoring addresses of all servers, such as `http://127.0.0.1:8222`, separated by
    /// commas: only they tell whether a server syncs before it acknowledges. Needed by the
    /// provisioner, by command-api and by executors.
    #[serde(default)]
    pub monitor_url: String,
}

impl NatsConfig {
    /// Returns the monitoring addresses one by one.
    pub fn monitor_urls(&self) -> Vec<String> {
        let urls = self.monitor_url.split(',').map(str::trim);
        urls.filter(|url| !url.is_empty()).map(str::to_owned).collect()
    }
}

/// `[postgres]`: the results store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// The connection string, which may hold a password.
    pub url: SecretString,
}

/// `[mongo]`: the progress store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MongoConfig {
    /// The connection string, which may hold a password.
    pub url: SecretString,
    /// The database's name.
    pub database: String,
}

/// `[outputs]`: outputs that are too large for an event.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputsConfig {
    /// How long they are kept, in seconds.
    pub age_s: NonZeroU32,
}

impl OutputsConfig {
    /// Returns how long they are kept.
    pub fn age(self) -> Duration {
        Duration::from_secs(self.age_s.get().into())
    }
}

/// `[auth]`: which tokens are accepted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The shared secret of HS256.
    pub hs256_secret: TokenSecret,
    /// The issuer that a token must name, if one is configured.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The audience that a token must name, if one is configured. Otherwise a token must not name
    /// one.
    #[serde(default)]
    pub audience: Option<String>,
    /// How far the clocks of issuer and service may differ, in seconds. A token lasts so much
    /// longer.
    #[serde(default)]
    pub leeway_seconds: u32,
}

/// A secret that is long enough to sign tokens with HS256.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub struct TokenSecret(SecretString);

/// The secret is too short to be safe.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a secret of at least {} bytes, found {bytes}", TokenSecret::BYTES_MIN)]
pub struct TokenSecretError {
    bytes: usize,
}

impl TokenSecret {
    /// The shortest secret: as long as the hash, as RFC 7518 §3.2 asks.
    pub const BYTES_MIN: usize = 32;

    /// Shows the secret's bytes.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl TryFrom<SecretString> for TokenSecret {
    type Error = TokenSecretError;

    fn try_from(secret: SecretString) -> Result<Self, Self::Error> {
        let bytes = secret.expose_secret().len();
        if bytes < Self::BYTES_MIN { Err(TokenSecretError { bytes }) } else { Ok(Self(secret)) }
    }
}

impl TryFrom<String> for TokenSecret {
    type Error = TokenSecretError;

    fn try_from(secret: String) -> Result<Self, Self::Error> {
        Self::try_from(SecretString::from(secret))
    }
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Which spans and events are kept.
    #[serde(default)]
    pub filter: LogFilter,
    /// How a line looks.
    #[serde(default)]
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Text for people.
    Text,
}

/// Directives such as `info,command_api=debug` that are known to parse.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LogFilter(String);

impl LogFilter {
    /// Returns the filter.
    pub fn to_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl TryFrom<String> for LogFilter {
    type Error = tracing_subscriber::filter::ParseError;

    fn try_from(directives: String) -> Result<Self, Self::Error> {
        EnvFilter::try_new(&directives)?;
        Ok(Self(directives))
    }
}
