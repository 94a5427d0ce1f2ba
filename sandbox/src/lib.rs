//! What the executor and the cells agree on: the framed protocol, the table of languages and the
//! seccomp profile. The program inside a cell, `cell-init`, is built from `src/bin/cell-init`. This
//! crate uses no Docker, no network and no async.

#[cfg(feature = "catalog")]
pub mod languages;
pub mod protocol;

/// Docker's seccomp profile for cells, as JSON: an allow-list. Its hash is recorded with every run.
pub const SECCOMP_PROFILE: &str = include_str!("../seccomp.json");
