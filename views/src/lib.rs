//! The shape of every view, once: rows and documents, their SQL and queries, read and write side by
//! side.
//!
//! `projector` writes through this crate and `query-api` reads through it. It knows how a view is
//! stored, and nothing of how one is folded from events. It is the only home of the drivers `sqlx`
//! and `mongodb`.

pub mod error;
pub mod generation;
pub mod progress;
pub mod results;
#[cfg(feature = "testing")]
pub mod testing;
