//! The regular removal of objects that no event names, by one process of several. It stands here,
//! since a projector reads the whole ledger anyway, and over a connection of its own, since no other
//! part may remove objects.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use events::{BootId, IdSource as _};
use ledger::{Connection, Leadership, NatsLogin, Sweeper, Swept};
use platform::clock::SystemClock;
use platform::ids::RandomIds;
use platform::service::ServiceError;
use platform::shutdown::Shutdown;
use tracing::{info, warn};

use crate::config::Config;
use crate::metrics;

/// Opens the connection of the sweeper.
pub async fn connect(config: &Config) -> Result<Connection, ServiceError> {
    let login = NatsLogin::new(&config.sweep.user, &config.sweep.password);
    let connection = Connection::open(&config.nats.url, &login, "sweeper").await;
    connection.map_err(ServiceError::part("the ledger cannot be opened"))
}

/// Sweeps until the stop, whenever this process leads.
pub(crate) async fn keep_sweeping(
    config: &Config,
    shutdown: &Shutdown,
) -> Result<(), ServiceError> {
    let (connection, stop) = (connect(config).await?, shutdown.token());
    let boot = BootId::new(RandomIds.new_id());
    let leadership = connection.leadership("sweeper".to_owned(), boot.to_string());
    let sweeper = connection.sweeper(connection.ledger(Arc::new(SystemClock)));
    let every = Duration::from_secs(config.sweep.every_s.get().into());
    // Not vital: what is left for a while costs room and nothing else.
    shutdown.spawn(async move {
        let sweeping = sweep_while_leading(sweeper, &leadership, every);
        let _stopped: Option<Infallible> = stop.run_until_cancelled(sweeping).await;
        leadership.release().await;
        connection.close().await;
    });
    Ok(())
}

async fn sweep_while_leading(
    mut sweeper: Sweeper,
    leadership: &Leadership,
    every: Duration,
) -> Infallible {
    loop {
        leadership.gain().await;
        tokio::select! {
            () = leadership.keep() => {}
            never = sweep_regularly(&mut sweeper, every) => match never {},
        }
    }
}

async fn sweep_regularly(sweeper: &mut Sweeper, every: Duration) -> Infallible {
    loop {
        // Not at once: a start has more urgent things to read the ledger for.
        tokio::time::sleep(every).await;
        match sweeper.sweep().await {
            Ok(Swept { objects: 0, bytes: _ }) => {}
            Ok(Swept { objects, bytes }) => {
                metrics::swept(objects);
                info!(swept.objects = objects, swept.bytes = bytes, "orphaned objects removed");
            }
            Err(error) => warn!(error = &error as &dyn Error, "the sweep was not finished"),
        }
    }
}
