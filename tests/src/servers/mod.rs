//! The servers that are not ours: how each is started, and when it is ready.

pub mod edge;
pub mod engine;
pub mod mongo;
pub mod nats;
pub mod postgres;

use std::path::PathBuf;

/// The root of the workspace, whose deployment files the servers are started with.
pub fn workspace_root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.clone(), std::path::Path::to_path_buf)
}
