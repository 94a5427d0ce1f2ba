//! Asking a NATS server's monitoring address. One request, one answer, nothing kept.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::Fault;

/// A server's answer has a few KiB.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Fetches `path` from the monitoring at `url` (`http://host:port`) in HTTP/1.0, whose answer ends
/// with the connection.
pub(crate) async fn get(url: &str, path: &str) -> Result<Value, Fault> {
    let address = url.strip_prefix("http://").ok_or("it must begin with http://")?;
    let address = address.trim_end_matches('/');
    let mut connection = TcpStream::connect(address).await?;
    // A server must not answer HTTP/1.0 in chunks, so no HTTP client is needed to read the body.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Bounded, since the address is configured by hand and any program may listen there.
    connection.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    body(&answer)
}

fn body(answer: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(answer)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("it does not speak HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if !status.ends_with(" 200 OK") {
        return Err(format!("it answers {status}").into());
    }
    Ok(serde_json::from_str(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_answer_has_a_body() {
        let good = body(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":1}");
        assert_eq!(good.unwrap()["a"], 1);
        for bad in [
            &b"HTTP/1.0 503 Service Unavailable\r\n\r\n{}"[..],
            b"HTTP/1.0 200 OK\r\n\r\n{",
            b"INFO {\"server_id\":\"x\"}\r\n",
            b"\xff\xff",
            b"",
        ] {
            assert!(body(bad).is_err(), "{bad:?} was taken");
        }
    }
}
