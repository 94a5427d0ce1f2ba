//! Requests written byte by byte, which a well-behaved client never sends.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much is written at a time, so that a server that has given up is noticed.
const PIECE: usize = 16 * 1024;

/// Sends a head and a body of `body_bytes` bytes, all of it, and then reads the answer's head. A
/// connection that is reset meanwhile is an error.
pub async fn post_everything(address: &str, head: &str, body_bytes: usize) -> Result<String> {
    let exchange = async {
        let mut connection = TcpStream::connect(address).await.context("connect")?;
        connection.write_all(head.as_bytes()).await.context("send the head")?;
        let piece = vec![b' '; PIECE];
        let mut left = body_bytes;
        while left > 0 {
            let now = left.min(PIECE);
            connection
                .write_all(piece.get(..now).unwrap_or(&piece))
                .await
                .context("send the body")?;
            left -= now;
        }
        let mut answer = Vec::new();
        while !has_ended(&answer) {
            if connection.read_buf(&mut answer).await.context("read the answer")? == 0 {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(PATIENCE, exchange).await.context("no answer in time")?
}

/// Sends a request as it stands, which has to ask for the connection's end, and returns everything
/// that comes back.
pub async fn send_raw(address: &str, request: &[u8]) -> Result<String> {
    let exchange = async {
        let mut connection = TcpStream::connect(address).await.context("connect")?;
        connection.write_all(request).await.context("send")?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.context("read")?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(PATIENCE, exchange).await.context("no answer in time")?
}

fn has_ended(answer: &[u8]) -> bool {
    answer.windows(4).any(|window| window == b"\r\n\r\n")
}
