//! The ledger's contracts, on the fake and on real servers that the tests start themselves.

mod append;
mod cluster;
mod common;
mod follow;
mod load;
mod objects;
mod presence;
mod provision;
mod queue;
mod single;
mod store;
mod verify;
