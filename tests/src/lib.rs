//! What the black-box tests share: a whole Runledger of real processes, clients for it, and an
//! auditor that compares the ledger with the views. No fakes.

pub mod audit;
pub mod cells;
pub mod client;
pub mod load;
pub mod programs;
pub mod servers;
pub mod services;
pub mod tokens;
pub mod tools;
pub mod wait;
pub mod wire;
pub mod world;
