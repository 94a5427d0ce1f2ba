//! Hears from Postgres which submissions have changed, over one connection of its own.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use events::SubmissionId;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{CHANNEL, Waiters};

/// The pause between two tries to listen.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long one try to connect may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Wakes those who wait.
#[derive(Debug)]
pub struct Listener {
    options: PgConnectOptions,
    waiters: Arc<Waiters>,
}

impl Listener {
    /// Prepares a connection to `url`.
    pub fn new(url: &str, waiters: Arc<Waiters>) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("query-api listener");
        Ok(Self { options, waiters })
    }

    /// Listens until the stop, connecting again as often as it takes.
    pub async fn listen(self, stop: CancellationToken) {
        let keep_listening = async {
            loop {
                let Err(error) = self.hear().await;
                warn!(error = &error as &dyn std::error::Error, "not listening for changes");
                self.waiters.set_fed(false);
                // Whoever waits has to look for itself now.
                self.waiters.wake_all();
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        stop.run_until_cancelled(keep_listening).await;
    }

    async fn hear(&self) -> Result<Infallible, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIME_MAX);
        let pool = pool.connect_with(self.options.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        info!("listening for changes");
        self.waiters.set_fed(true);
        // Changes may have come before.
        self.waiters.wake_all();
        loop {
            let heard = listener.try_recv().await?;
            let notification = heard.ok_or_else(broken_off)?;
            for id in ids(notification.payload()) {
                self.waiters.wake(id);
            }
        }
    }
}

fn broken_off() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into())
}

fn ids(payload: &str) -> impl Iterator<Item = SubmissionId> {
    payload.split(',').filter_map(|id| id.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_list_of_ids() {
        let (a, b) =
            ("018f2f5e-0000-7000-8000-000000000001", "018f2f5e-0000-7000-8000-000000000002");
        let heard: Vec<String> = ids(&format!("{a}, {b},,x")).map(|id| id.to_string()).collect();
        assert_eq!(heard, [a, b]);
    }
}
