//! Who waits for a change of which submission, and who wakes them: one listener for all, no polling by each.

mod listener;
mod waiters;

pub use self::listener::Listener;
pub use self::waiters::{Waiter, Waiters};

/// The channel on which the projector names the submissions that it has just written, separated by commas.
pub const CHANNEL: &str = "results_changed";
