//! The connections to the ledger and to both stores.

use std::sync::Arc;

use ledger::{Connection, Ledger, NatsLogin};
use platform::clock::SystemClock;
use platform::config::ExposeSecret as _;
use platform::service::ServiceError;
use views::progress::ProgressWriter;
use views::results::ResultsWriter;

use crate::config::Config;
use crate::progress::ProgressProjection;
use crate::projection::Projection;
use crate::results::ResultsProjection;

/// Everything that the projector works with. Connects in the background.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Connections {
    pub connection: Connection,
    pub results: ResultsProjection,
    pub progress: ProgressProjection,
}

impl Connections {
    /// Makes the connections that the configuration names.
    pub async fn open(config: &Config) -> Result<Self, ServiceError> {
        // None of the three waits for its server: a store that is away at the start must hold up
        // its own projection only.
        let login = NatsLogin::new(&config.nats.user, &config.nats.password);
        let connection = Connection::open(&config.nats.url, &login, "projector")
            .await
            .map_err(ServiceError::part("the ledger cannot be opened"))?;
        let results = ResultsWriter::connect_lazy(config.postgres.url.expose_secret())
            .map_err(ServiceError::part("the results view cannot be opened"))?;
        let mongo = &config.mongo;
        let progress = ProgressWriter::connect_lazy(mongo.url.expose_secret(), &mongo.database)
            .await
            .map_err(ServiceError::part("the progress view cannot be opened"))?;
        Ok(Self {
            connection,
            results: ResultsProjection::new(results),
            progress: ProgressProjection::new(progress, Arc::new(SystemClock)),
        })
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> Ledger {
        self.connection.ledger(Arc::new(SystemClock))
    }

    /// Returns both projections.
    pub fn projections(&self) -> [Arc<dyn Projection>; 2] {
        [Arc::new(self.results.clone()), Arc::new(self.progress.clone())]
    }
}
