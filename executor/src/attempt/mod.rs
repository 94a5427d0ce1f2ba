//! One submission from the queue to its end in the ledger (design §4.5): who may run it, heartbeats, fencing, results,
//! and the one terminal event. Keeps out how cells work and how outputs are judged.

mod appending;
mod held;
pub mod next;
mod recording;
mod running;
mod settle;
mod watching;
mod work;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use held::Held;
pub use settle::{Attempts, Identity, Settings};
