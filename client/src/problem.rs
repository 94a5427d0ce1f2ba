//! What a server says when it does not do what was asked: an RFC 9457 problem document, or what a
//! proxy sends in its place.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

/// Why the server did not do what was asked.
#[derive(Debug, Deserialize)]
pub struct ServerProblem {
    title: String,
    pub(crate) status: u16,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    errors: Vec<ProblemEntry>,
}

/// One fault of the request, and where it is.
#[derive(Debug, Deserialize)]
struct ProblemEntry {
    pointer: String,
    detail: String,
}

impl ServerProblem {
    /// Reads the body of an answer.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        // A proxy in between sends a page of its own, which tells no more than its status.
        serde_json::from_slice(body).unwrap_or_else(|_no_document| Self {
            title: status.canonical_reason().unwrap_or("no reason given").to_owned(),
            status: status.as_u16(),
            detail: None,
            request_id: None,
            errors: Vec::new(),
        })
    }
}

impl fmt::Display for ServerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.title, self.status)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        for ProblemEntry { pointer, detail } in &self.errors {
            let place = if pointer.is_empty() { "the whole body" } else { pointer };
            write!(f, "\n  {place}: {detail}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\n  request id {id}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_title_detail_and_every_fault() {
        let body = br#"{"type":"/problems/invalid","title":"The request breaks a rule","status":422,
            "detail":"two faults","instance":"/v1/submissions","request_id":"r1",
            "errors":[{"pointer":"/limits/cpu_time_ms","detail":"too much"},{"pointer":"","detail":"odd"}]}"#;
        let shown = ServerProblem::read(StatusCode::UNPROCESSABLE_ENTITY, body).to_string();
        assert_eq!(
            shown,
            "The request breaks a rule (422): two faults\n  /limits/cpu_time_ms: too much\n  \
             the whole body: odd\n  request id r1"
        );
    }

    #[test]
    fn a_proxys_page_is_known_by_its_status() {
        let shown = ServerProblem::read(StatusCode::BAD_GATEWAY, b"<html>").to_string();
        assert_eq!(shown, "Bad Gateway (502)");
    }
}
