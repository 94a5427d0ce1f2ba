//! Waits until a started server does its work. One that has ended is told at once.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::Server;
use crate::process::ProcessIdentity;

const POLL: Duration = Duration::from_millis(20);

/// Waits until a server answers and is set up. `give_up` ends the wait early by failing.
pub fn wait_until_ready(
    server: &(impl Server + ?Sized),
    process: &ProcessIdentity,
    patience: Duration,
    give_up: impl Fn() -> Result<()>,
) -> Result<()> {
    let until = Instant::now() + patience;
    loop {
        give_up()?;
        let asked = server.check().and_then(|()| server.set_up());
        // Looked at after the question: an answer that was another process's does not count.
        if !process.is_alive() {
            bail!("it ended right after its start");
        }
        match asked {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= until => {
                return Err(error.context(format!("not ready after {} s", patience.as_secs())));
            }
            Err(_not_yet) => thread::sleep(POLL),
        }
    }
}
