//! Serving a router on a socket until the stop, and then until its requests are answered.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tracing::{debug, warn};

use crate::shutdown::Shutdown;

/// How long requests in flight may take after the stop.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

/// Listens on an address; the error names it.
pub async fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
    })
}

/// Serves until the shutdown, then answers what is in flight, for [`ANSWER_TIME_MAX`] at most.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    shutdown: &Shutdown,
) -> std::io::Result<()> {
    // Without TCP_NODELAY an answer in two writes waits for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(error = &error as &dyn std::error::Error, "cannot set TCP_NODELAY");
        }
    });
    let stop = shutdown.token().cancelled_owned();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop).into_future();
    let deadline = async {
        shutdown.cancelled().await;
        // A client that keeps its connection open must not keep the service from ending.
        tokio::time::sleep(ANSWER_TIME_MAX).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = deadline => {
            warn!("connections were still open at the end of the drain");
            Ok(())
        }
    }
}
