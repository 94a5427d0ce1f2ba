//! The ledger's contracts, on the fake and on real servers that the tests start themselves.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod append;
mod bounded;
mod cluster;
mod common;
mod follow;
mod leadership;
mod load;
mod objects;
mod offers;
mod permissions;
mod presence;
mod provision;
mod queue;
mod single;
mod store;
mod sweep;
mod verify;
