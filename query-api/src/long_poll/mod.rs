//! Long polls: requests that wait for a change of a submission. One follower of the ledger wakes
//! all of them, so that no request polls by itself.

mod feed;
mod waiters;
mod waiting_request;

pub use self::feed::Feed;
pub use self::waiters::{Waiter, Waiters};
pub(crate) use self::waiting_request::wait_for_change;
