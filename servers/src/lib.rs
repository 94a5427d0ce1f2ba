//! The real servers that Runledger stands on, and how a process is started, asked and ended. It is
//! the one launcher for `cargo dev` and for tests; it knows the machine, and none of our crates.

pub mod files;
pub mod http;
pub mod kill;
pub mod log;
pub mod mongo;
pub mod nats;
pub mod nginx;
pub mod port;
pub mod postgres;
pub mod process;
pub mod program;
pub mod ready;
pub mod service;
#[cfg(feature = "testing")]
pub mod testing;

use std::time::Duration;

use anyhow::Result;

pub use port::ClaimedPort;
pub use process::ProcessIdentity;
pub use program::Program;

/// How long one question to a server may take.
pub const ASK_PATIENCE: Duration = Duration::from_secs(5);

/// One configured server.
pub trait Server {
    /// Writes configuration, makes directories, and says what to run. Harmless when repeated.
    fn prepare(&self) -> Result<Program>;

    /// Asks the running server whether it does its work.
    fn check(&self) -> Result<()>;

    /// Does once what a fresh server needs after its first start, and fails while that is not
    /// possible yet. Harmless when repeated.
    fn set_up(&self) -> Result<()> {
        Ok(())
    }
}
