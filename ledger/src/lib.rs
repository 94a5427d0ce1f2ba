//! The event store: streams on JetStream, append with optimistic concurrency, read, follow, and the
//! queue of submissions. For tests also a store in memory and the check of a whole ledger.
//!
//! The only home of `async-nats`. Knows no HTTP, no Docker and no view.

mod aggregate;
mod append;
mod connection;
mod durability;
mod entry;
mod error;
mod execute;
mod follow;
mod jetstream;
mod leadership;
mod ledger;
mod link;
#[cfg(feature = "testing")]
pub mod memory;
mod metrics;
mod monitor;
mod objects;
mod offers;
mod presence;
mod provision;
mod queue;
mod read;
mod retry;
pub mod store;
mod sweep;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "testing")]
pub mod verify;

pub use aggregate::Aggregate;
pub use connection::{Connection, NatsLogin};
pub use durability::Durability;
pub use entry::{Followed, ForeignMessage, LedgerEntry, Stored};
pub use error::{
    ConnectError, ExecuteError, Fault, FollowError, HistoryDiffers, PresenceError, ProvisionError,
    QueueError, ReadError,
};
pub use execute::Accepting;
pub use leadership::{LEADERSHIP_TIME, Leadership};
pub use ledger::Ledger;
pub use metrics::describe_metrics;
pub use objects::{OBJECT_BYTES_MAX, ObjectError, ObjectStore};
pub use offers::{KnownOffers, LanguageOffer, Offers};
pub use presence::{Held, Presence};
pub use provision::StreamSettings;
pub use queue::{
    Acknowledge, Backlog, FloorOf, Floors, Job, Queue, QueueStatus, Receipt, Worker, durable_name,
    redelivery_delay,
};
pub use store::{EventStore, LedgerExtent, StorageUsage};
pub use sweep::{SweepError, Sweeper, Swept};
