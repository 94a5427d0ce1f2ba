//! Ctrl-C, SIGTERM and SIGHUP as a flag that long waits look at, so that what was started is also
//! stopped. Programs that we start have their signals at the default again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static RAISED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

const POLL: Duration = Duration::from_millis(50);

/// Begins to listen. Until then signals end the process as usual.
pub(crate) fn listen() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&RAISED)).context("listen to signals")?;
    }
    Ok(())
}

/// Whether the person, or the system, asked us to end.
pub(crate) fn raised() -> bool {
    RAISED.load(Ordering::SeqCst)
}

/// Takes note of a request to end, so that the work of ending is not itself interrupted by it.
pub(crate) fn take() -> bool {
    RAISED.swap(false, Ordering::SeqCst)
}

/// Fails when we were asked to end.
pub(crate) fn check() -> Result<()> {
    if raised() {
        bail!("interrupted")
    }
    Ok(())
}

/// Waits for a while, shorter when interrupted.
pub(crate) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while !raised() && Instant::now() < until {
        thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
    }
}
