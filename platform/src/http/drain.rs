//! Reading what a handler left of a request's body. Without it a server that answers early closes
//! the connection on unread bytes, the kernel resets it, and the client never sees the answer (413,
//! 401, …).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use futures::{Stream, StreamExt};

/// How much of an unread body is read and thrown away; a client that sends more may see a reset.
pub(super) const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long it is read for.
const DRAIN_READ_TIME_MAX: Duration = Duration::from_secs(10);

/// A body that a handler reads, and whose rest can be read after it.
#[derive(Debug, Clone)]
struct LentBody(Arc<Mutex<Lent>>);

#[derive(Debug)]
struct Lent {
    stream: BodyDataStream,
    started: bool,
    ended: bool,
}

impl Stream for LentBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut lent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lent.ended {
            return Poll::Ready(None);
        }
        lent.started = true;
        let polled = lent.stream.poll_next_unpin(cx);
        lent.ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

/// The rest of a request's body, to be read once the answer is known.
#[derive(Debug)]
pub(super) struct Drain {
    rest: LentBody,
    waits: bool,
}

impl Drain {
    /// Lends the request's body to its handler; nothing for a request that has no body.
    pub(super) fn lend(request: &mut Request) -> Option<Self> {
        if request.body().is_end_stream() {
            return None;
        }
        let waits = request.headers().contains_key(EXPECT);
        let stream = std::mem::take(request.body_mut()).into_data_stream();
        let rest = LentBody(Arc::new(Mutex::new(Lent { stream, started: false, ended: false })));
        *request.body_mut() = Body::from_stream(rest.clone());
        Some(Self { rest, waits })
    }

    /// Reads the rest within bounds.
    pub(super) async fn finish(self) {
        // A client that waits for "100 Continue" has sent nothing, and reading would ask it to.
        let started = self.rest.0.lock().unwrap_or_else(PoisonError::into_inner).started;
        if self.waits && !started {
            return;
        }
        // After a timeout or an error the client no longer sends, so there is nothing left to read.
        drop(tokio::time::timeout(DRAIN_READ_TIME_MAX, self.read()).await);
    }

    async fn read(mut self) {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = self.rest.next().await {
            bytes += chunk.len();
            if bytes > DRAIN_BYTES_MAX {
                return;
            }
        }
    }
}
