//! How far readers of the ledger have come, kept outside of their consumers: a consumer that is
//! lost takes its own position along.

use std::fmt::{self, Display};

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::Store;
use events::{PoolName, QueueName};

use crate::error::{Fault, QueueError};

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

/// Sequences of the ledger below which a reader has nothing left to do. One that is too low costs
/// reads, and nothing else.
#[derive(Clone, Debug)]
pub struct Floors {
    context: Context,
}

impl Floors {
    pub(crate) const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Returns the floor that was stored last.
    pub async fn load(&self, of: FloorOf<'_>) -> Result<Option<u64>, QueueError> {
        let floor = async { Ok::<_, Fault>(self.bucket().await?.get(of.to_string()).await?) };
        let text = floor.await.map_err(QueueError)?;
        // What is no number is no floor of ours, and without one all is read.
        Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
    }

    /// Stores a floor.
    pub async fn store(&self, of: FloorOf<'_>, floor: u64) -> Result<(), QueueError> {
        let stored = async {
            let text = floor.to_string();
            Ok::<_, Fault>(self.bucket().await?.put(of.to_string(), text.into()).await?)
        };
        stored.await.map(drop).map_err(QueueError)
    }

    async fn bucket(&self) -> Result<Store, Fault> {
        Ok(self.context.get_key_value(BUCKET).await?)
    }
}
