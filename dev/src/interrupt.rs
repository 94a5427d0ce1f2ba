//! Ctrl-C, SIGTERM and SIGHUP as a flag that long waits look at, so that what was started is also
//! stopped. Programs that we start have their signals at the default again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

static RAISED: AtomicBool = AtomicBool::new(false);

const POLL: Duration = Duration::from_millis(50);

/// Begins to listen. Until then signals end the process as usual.
pub(crate) fn listen() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build().context("signal runtime")?;
    let signals = runtime.block_on(async { subscribe() })?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(note(signals)))
        .context("signal thread")?;
    Ok(())
}

fn subscribe() -> Result<[Signal; 3]> {
    Ok([
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ])
}

async fn note([mut int, mut term, mut hup]: [Signal; 3]) {
    loop {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
        RAISED.store(true, Ordering::SeqCst);
    }
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
