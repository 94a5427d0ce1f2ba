//! How far readers of the ledger have come, kept outside of their consumers: a consumer that is
//! lost takes its own position along.

use std::error::Error;
use std::fmt::{self, Display};

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::Store;
use events::{LedgerPosition, PoolName, QueueName};
use tracing::warn;

use crate::error::{Fault, QueueError};
use crate::follow::{compare, position_at};
use crate::jetstream::JetStreamStore;
use crate::link::Link;

/// The key-value bucket.
pub(crate) const BUCKET: &str = "QUEUE_FLOORS";

/// Whose floor.
#[derive(Clone, Copy, Debug)]
pub enum FloorOf<'a> {
    /// Every submission of the queue up to the floor has been acknowledged.
    Queue(&'a QueueName),
    /// Every submission of the pool up to the floor has its end in the ledger.
    Settler(&'a PoolName),
}

impl Display for FloorOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => write!(f, "{name}"),
            Self::Settler(pool) => write!(f, "settler.{pool}"),
        }
    }
}

/// Positions in the ledger up to which a reader has nothing left to do. One that is too low costs
/// reads, and nothing else.
#[derive(Clone, Debug)]
pub struct Floors {
    context: Context,
    ledger: JetStreamStore,
}

impl Floors {
    pub(crate) fn new(context: &Context, link: &Link) -> Self {
        let ledger = JetStreamStore::new(context.clone(), link.clone());
        Self { context: context.clone(), ledger }
    }

    /// Returns the floor that was stored last; none if the ledger does not have what stood there.
    pub async fn load(&self, of: FloorOf<'_>) -> Result<Option<LedgerPosition>, QueueError> {
        self.known(of).await.map_err(QueueError)
    }

    /// Stores the floor at a sequence, unless the ledger ends before it.
    pub async fn store(&self, of: FloorOf<'_>, sequence: u64) -> Result<(), QueueError> {
        let stored = async {
            let Some(floor) = position_at(&self.ledger, sequence).await? else { return Ok(()) };
            let text = serde_json::to_vec(&floor)?;
            self.bucket().await?.put(of.to_string(), text.into()).await?;
            Ok(())
        };
        stored.await.map_err(QueueError)
    }

    async fn known(&self, of: FloorOf<'_>) -> Result<Option<LedgerPosition>, Fault> {
        let Some(text) = self.bucket().await?.get(of.to_string()).await? else { return Ok(None) };
        // What cannot be read is no floor of ours, and without one all is read.
        let Ok(floor) = serde_json::from_slice(&text) else { return Ok(None) };
        // A ledger that was set back or replaced has other submissions up to there.
        match compare(&self.ledger, Some(floor)).await {
            Ok(_) => Ok(Some(floor)),
            Err(differs) => {
                warn!(error = &differs as &dyn Error, "the floor {of} is of another history");
                Ok(None)
            }
        }
    }

    async fn bucket(&self) -> Result<Store, Fault> {
        Ok(self.context.get_key_value(BUCKET).await?)
    }
}
