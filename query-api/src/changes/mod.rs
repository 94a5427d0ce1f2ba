//! Who waits for a change of which submission, and who wakes them: one feed for all, no polling by each.

mod feed;
mod waiters;

pub use self::feed::Feed;
pub use self::waiters::{Waiter, Waiters};
