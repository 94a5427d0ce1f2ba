//! The service's contract, over the router in one process: given a ledger in memory, when a request comes, then what.

mod accepting;
mod bad_input;
mod cancelling;
mod idempotency;
mod support;
mod unauthorized;
mod unavailable;
