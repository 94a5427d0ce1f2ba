//! What has to exist on NATS. How it is made and mended is the crate `ledger`'s business.

use std::time::Duration;

use events::QueueName;
use ledger::{Connection, NatsLogin, ProvisionError, QueueError, StreamSettings};
use platform::ids::RandomIds;
use platform::service::ServiceError;
use thiserror::Error;

use crate::config::Config;

/// Why not everything is as it must be.
#[derive(Debug, Error)]
pub(crate) enum CheckError {
    /// A stream or a server is not.
    #[error(transparent)]
    Streams(#[from] ProvisionError),
    /// A queue is not.
    #[error("the queue {name} cannot be made or mended")]
    Queue {
        /// Which queue.
        name: QueueName,
        /// Why.
        source: QueueError,
    },
}

impl CheckError {
    /// Tells whether another try is of no use.
    pub(crate) const fn is_lasting(&self) -> bool {
        match self {
            Self::Streams(error) => error.is_lasting(),
            Self::Queue { .. } => false,
        }
    }
}

/// Everything that has to exist, and the connection over which it is made.
#[derive(Debug)]
pub(crate) struct StreamsAndQueues {
    connection: Connection,
    settings: StreamSettings,
    queues: Vec<QueueName>,
    ack_wait: Duration,
}

impl StreamsAndQueues {
    pub(crate) async fn open(config: &Config) -> Result<Self, ServiceError> {
        let login = NatsLogin::new(&config.nats.user, &config.nats.password);
        let connection = Connection::open(&config.nats.url, &login, "provisioner")
            .await
            .map_err(ServiceError::part("the ledger cannot be opened"))?;
        Ok(Self {
            connection,
            settings: config.stream_settings(),
            queues: config.queues.names(),
            ack_wait: config.queues.ack_wait(),
        })
    }

    /// Makes what is missing, and mends what differs. Harmless when repeated.
    pub(crate) async fn ensure(&self) -> Result<(), CheckError> {
        self.connection.provision(&self.settings, &RandomIds).await?;
        let queue = self.connection.queue();
        for name in &self.queues {
            let provisioned = queue.provision(name, self.ack_wait).await;
            let failed = |source| CheckError::Queue { name: name.clone(), source };
            provisioned.map_err(failed)?;
        }
        Ok(())
    }

    /// The same, but makes no new ledger where one was before: that is an operator's decision.
    pub(crate) async fn ensure_again(&self, was_there: bool) -> Result<(), CheckError> {
        // First: servers that are away are noticed sooner here than by a look at their streams.
        self.connection.check_durability(&self.settings.monitor_urls).await?;
        self.connection.check_ledger_is_not_gone(was_there).await?;
        self.ensure().await
    }

    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }
}
