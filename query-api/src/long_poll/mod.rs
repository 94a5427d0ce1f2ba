//! Long polls: requests that wait for a change of a submission. One follower of the ledger wakes
//! all of them, so that no request polls by itself.

mod feed;
mod wait;
mod waiters;

pub use self::feed::Feed;
pub(crate) use self::wait::wait_for_change;
pub use self::waiters::{Waiter, Waiters};
