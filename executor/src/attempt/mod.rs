//! One submission from the queue to its end in the ledger: who may run it, heartbeats, fencing,
//! results, and the one terminal event. Keeps out how cells work and how outputs are judged.

mod ack_wait;
mod append;
mod context;
mod delivery;
mod held_submissions;
mod lost;
pub mod next_step;
mod not_here;
mod running_attempt;
mod submission_work;
mod watching;

#[cfg(test)]
mod bystanders;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use ack_wait::{ACK_WAIT_MIN, AckWait};
pub use context::{AttemptSettings, ExecutorContext, ExecutorIdentity};
pub use delivery::DeliveryHandler;
pub use held_submissions::HeldSubmissions;
pub use lost::AbsentExecutors;
