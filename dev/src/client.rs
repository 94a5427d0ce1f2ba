//! A client that submits a Python program and long-polls for its end, with a clock in its hand.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use platform::clock::{Clock, SystemClock};
use reqwest::blocking;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::interrupt;

/// A request is held for up to 30 s.
const REQUEST_PATIENCE: Duration = Duration::from_secs(40);

/// How often the view is looked at.
const VIEW_POLL: Duration = Duration::from_millis(1);

/// How often a held request may come back before the end.
const ROUNDS: usize = 6;

/// One connection pool and a token.
#[derive(Clone)]
pub(crate) struct Client {
    http: blocking::Client,
    url: String,
    token: String,
}

/// One submission, seen from outside.
pub(crate) struct Run {
    pub(crate) id: String,
    /// From sending the request to having the 202.
    pub(crate) accept: Duration,
    /// From sending the request to having the verdict.
    pub(crate) total: Duration,
    /// When the verdict was in hand, in microseconds since 1970.
    pub(crate) ended_at_us: i64,
    /// How it ended.
    pub(crate) end: Submission,
}

/// One event of the ledger, as far as it is needed here.
#[derive(Deserialize)]
pub(crate) struct Record {
    pub(crate) stored_at: String,
    pub(crate) event: Value,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    state: String,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
    sequence: u64,
}

/// A submission, as far as it is needed here.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Submission {
    pub(crate) state: String,
    pub(crate) verdict: Option<String>,
    pub(crate) stdout: Option<String>,
}

impl Run {
    /// Returns itself if the program has run to its end.
    pub(crate) fn finished(self) -> Result<Self> {
        if self.end.verdict.as_deref() == Some("finished") {
            return Ok(self);
        }
        bail!("submission {} did not finish: {:?}", self.id, self.end)
    }
}

impl Client {
    /// Makes a client of an edge.
    pub(crate) fn new(url: &str, token: &str) -> Result<Self> {
        let http = blocking::Client::builder()
            .no_proxy()
            .timeout(REQUEST_PATIENCE)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, url: url.to_owned(), token: token.to_owned() })
    }

    /// Submits a Python program and waits for its end.
    pub(crate) fn submit(&self, source: &str) -> Result<Run> {
        let begun = Instant::now();
        let body = json!({ "language": "python", "source": source });
        let request = self.http.post(format!("{}/v1/submissions", self.url)).json(&body);
        let accepted: Accepted = self.send(request)?;
        let accept = begun.elapsed();
        let end = self.wait(&accepted)?;
        let total = begun.elapsed();
        let ended_at_us = SystemClock.now().timestamp_micros();
        Ok(Run { id: accepted.id, accept, total, ended_at_us, end })
    }

    fn wait(&self, accepted: &Accepted) -> Result<Submission> {
        let Accepted { id, sequence } = accepted;
        let address = format!("{}/v1/submissions/{id}?wait=30&min_seq={sequence}", self.url);
        for _ in 0..ROUNDS {
            let submission: Submission = self.send(self.http.get(&address))?;
            if matches!(submission.state.as_str(), "completed" | "failed" | "cancelled") {
                return Ok(submission);
            }
        }
        bail!("submission {id} has not ended in time")
    }

    /// Waits until the view shows the end of the newest submission, and returns when it did, in microseconds since 1970.
    pub(crate) fn projected(&self, id: &str) -> Result<i64> {
        let until = Instant::now() + REQUEST_PATIENCE;
        while Instant::now() < until {
            let newest = self.http.get(format!("{}/v1/submissions?limit=1", self.url));
            let page: Page = self.send(newest)?;
            if page.items.iter().any(|item| item.id == id && item.state == "completed") {
                return Ok(SystemClock.now().timestamp_micros());
            }
            interrupt::pause(VIEW_POLL);
        }
        bail!("the view does not show submission {id}")
    }

    /// Reads what the ledger has of a submission.
    pub(crate) fn events(&self, id: &str) -> Result<Vec<Record>> {
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
