//! Free loopback ports for servers that a test starts.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Ports lie below the range that the kernel gives to outgoing connections: a client that keeps reconnecting to a killed
/// server in that range can end up connected to itself.
const FIRST: u16 = 10_000;
const COUNT: u16 = 8_000;
/// How far apart the processes of one test run begin to look.
const STRIDE: u32 = 64;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Returns a port that nobody listens on, and that this process has not given away yet.
pub fn free_port() -> Result<u16> {
    let start = u16::try_from(std::process::id().wrapping_mul(STRIDE) % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {FIRST} to {}", FIRST + COUNT)
}

/// Returns the address of a free loopback port.
pub fn free_address() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
