//! One question over HTTP to a local address.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result};

use crate::ASK_PATIENCE;

/// A health answer has some KiB.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Asks `address`, which is host and port, and returns status and body. HTTP/1.0 has no chunks:
/// its answer ends with the connection.
pub fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let resolved = address.parse().with_context(|| format!("the address {address}"))?;
    let mut connection =
        TcpStream::connect_timeout(&resolved, ASK_PATIENCE).context("no answer")?;
    connection.set_read_timeout(Some(ASK_PATIENCE))?;
    connection.set_write_timeout(Some(ASK_PATIENCE))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).context("ask")?;
    let mut answer = Vec::new();
    // Bounded, because another program may have the port, and may send without an end.
    connection.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).context("broken answer")?;
    parse(&String::from_utf8_lossy(&answer)).context("it does not speak HTTP")
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = "HTTP/1.0 503 RunledgerService Unavailable\r\nA: b\r\n\r\nnot yet";

        assert_eq!(parse(answer), Some((503, "not yet".to_owned())));
        assert_eq!(parse("INFO {\"server_id\":\"x\"}\r\n"), None);
        assert_eq!(parse("HTTP/1.1 many\r\n\r\n"), None);
    }
}
