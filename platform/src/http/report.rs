//! The report of a request at its end: one log line and two metrics, also when the client went away
//! before the answer.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use tracing::{debug, info};

crate::declare_metrics! {
    counters {
        REQUESTS_TOTAL = "http_requests_total":
            "Requests answered, by method, route and status.",
    }
    durations {
        REQUEST_DURATION_SECONDS = "http_request_duration_seconds":
            "Time from a request's head to its answer's, by method and route.",
    }
}

/// The status in logs and metrics of a request whose client did not wait for the answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request in flight. It is reported when this is dropped, so that a request whose client has
/// gone is reported, too.
#[derive(Debug)]
pub(super) struct Report {
    method: &'static str,
    route: String,
    started: Instant,
    status: u16,
}

impl Report {
    /// Notes the start of a request.
    pub(super) fn start(request: &Request) -> Self {
        // The template and not the path: a path has ids, and so as many values as there are
        // submissions.
        let route =
            request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
        let method = label(request.method());
        Self {
            method,
            route: route.to_owned(),
            started: Instant::now(),
            status: CLIENT_CLOSED_REQUEST,
        }
    }

    /// Notes the answer's status, and reports the request.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let (method, route) = (self.method, std::mem::take(&mut self.route));
        let elapsed = self.started.elapsed();
        let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
        let status = self.status;
        // Probes come every few seconds, and would hide the requests of clients.
        if route.starts_with("/health/") || route == "/metrics" {
            debug!(
                http.method = method,
                http.route = route,
                http.status = status,
                elapsed_ms,
                "request"
            );
        } else {
            info!(
                http.method = method,
                http.route = route,
                http.status = status,
                elapsed_ms,
                "request"
            );
        }
        metrics::histogram!(REQUEST_DURATION_SECONDS, "method" => method, "route" => route.clone())
            .record(elapsed);
        let status = status.to_string();
        metrics::counter!(REQUESTS_TOTAL, "method" => method, "route" => route, "status" => status)
            .increment(1);
    }
}

/// Returns the method as a label.
fn label(method: &Method) -> &'static str {
    // A client may invent methods, and each would be another time series.
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| method == known).unwrap_or("OTHER")
}
