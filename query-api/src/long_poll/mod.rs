//! Long polls: requests that wait for a change of a submission. One follower of the ledger folds
//! what they wait for and wakes them, so that no request reads while nothing happens.

mod feed;
mod waiters;
mod waiting_request;

pub use self::feed::Feed;
pub use self::waiters::{Waiter, Waiters};
pub(crate) use self::waiting_request::wait_for_change;
