//! A client that submits and long-polls, as the CLI does, with a clock in its hand.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use platform::clock::{Clock, SystemClock};
use reqwest::blocking;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A request is held for up to 30 s.
const REQUEST_PATIENCE: Duration = Duration::from_secs(40);

/// One connection pool and a token.
#[derive(Clone)]
pub(super) struct Client {
    http: blocking::Client,
    url: String,
    token: String,
}

/// One submission, seen from outside.
pub(super) struct Run {
    pub(super) id: String,
    /// From sending the request to having the 202.
    pub(super) accept: Duration,
    /// From sending the request to having the verdict.
    pub(super) total: Duration,
    /// When the verdict was in hand, in microseconds since 1970.
    pub(super) ended_at_us: i64,
}

/// One event of the ledger, as far as it is needed here.
#[derive(Deserialize)]
pub(super) struct Record {
    pub(super) stored_at: String,
    pub(super) event: Value,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct Submission {
    state: String,
    verdict: Option<String>,
}

impl Client {
    pub(super) fn new(url: &str, token: &str) -> Result<Self> {
        let http = blocking::Client::builder()
            .no_proxy()
            .timeout(REQUEST_PATIENCE)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, url: url.to_owned(), token: token.to_owned() })
    }

    /// Submits a Python program and waits for its verdict, which must be a good one.
    pub(super) fn submit(&self, source: &str) -> Result<Run> {
        let begun = Instant::now();
        let body = json!({ "language": "python", "source": source });
        let request = self.http.post(format!("{}/v1/submissions", self.url)).json(&body);
        let accepted: Accepted = self.send(request)?;
        let accept = begun.elapsed();
        self.wait(&accepted)?;
        let total = begun.elapsed();
        let ended_at_us = SystemClock.now().timestamp_micros();
        Ok(Run { id: accepted.id, accept, total, ended_at_us })
    }

    fn wait(&self, accepted: &Accepted) -> Result<()> {
        let Accepted { id, sequence } = accepted;
        let address = format!("{}/v1/submissions/{id}?wait=30&min_seq={sequence}", self.url);
        loop {
            let submission: Submission = self.send(self.http.get(&address))?;
            match submission.state.as_str() {
                "completed" if submission.verdict.as_deref() == Some("finished") => return Ok(()),
                "completed" | "failed" | "cancelled" => {
                    bail!(
                        "submission {id} is {} with verdict {:?}",
                        submission.state,
                        submission.verdict
                    )
                }
                _ => {}
            }
        }
    }

    /// Reads what the ledger has of a submission.
    pub(super) fn events(&self, id: &str) -> Result<Vec<Record>> {
        let request = self.http.get(format!("{}/v1/submissions/{id}/events", self.url));
        self.send(request)
    }

    fn send<T: DeserializeOwned>(&self, request: blocking::RequestBuilder) -> Result<T> {
        let answer = request.bearer_auth(&self.token).send().context("send")?;
        let status = answer.status();
        let body = answer.text().context("read the answer")?;
        if !status.is_success() {
            bail!("the answer is {status}: {}", body.trim());
        }
        serde_json::from_str(&body).with_context(|| format!("read the answer {body}"))
    }
}
