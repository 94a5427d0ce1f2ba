//! A client of the HTTP API, as a person would write one: it knows paths and JSON, and none of our types.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// How long one answer may take, a long poll included.
const ANSWER_PATIENCE: Duration = Duration::from_secs(45);
/// How many seconds a poll asks to be held.
const WAIT_SECONDS: u32 = 10;
/// How many polls a submission may take to end.
const POLLS_MAX: usize = 12;
/// The states after which nothing follows.
const TERMINAL: [&str; 3] = ["completed", "failed", "cancelled"];

/// Somebody with a token, or with none.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as JSON; null where it is none.
    pub json: Value,
}

/// A submission that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Submitted {
    /// Its id.
    pub id: String,
    /// The sequence of its accepted event.
    pub sequence: u64,
}

impl Client {
    /// Makes a client of the server at `base`.
    pub fn new(base: String, token: Option<String>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_PATIENCE).build()?;
        Ok(Self { http, base, token })
    }

    /// Returns the same client with another token.
    #[must_use]
    pub fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(HeaderName::from_bytes(name.as_bytes())?, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.with_context(|| format!("ask {path}"))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.with_context(|| format!("read the answer of {path}"))?;
        Ok(Answer { status, headers, json: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Asks for a resource.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, &[], Some(serde_json::to_vec(body)?)).await
    }

    /// Submits a program that has to be accepted.
    pub async fn submit(&self, body: &Value) -> Result<Submitted> {
        self.post("/v1/submissions", body).await?.submitted()
    }

    /// Submits a program under a key, so that it can be repeated.
    pub async fn submit_keyed(&self, body: &Value, key: &str) -> Result<Answer> {
        let body = serde_json::to_vec(body)?;
        self.send(Method::POST, "/v1/submissions", &[("idempotency-key", key)], Some(body)).await
    }

    /// Returns a submission as it is now, not older than `sequence`.
    pub async fn show(&self, submitted: &Submitted) -> Result<Value> {
        let path = format!("/v1/submissions/{}?min_seq={}", submitted.id, submitted.sequence);
        self.get(&path).await?.ok()
    }

    /// Polls until the submission has ended, and returns it.
    pub async fn ended(&self, submitted: &Submitted) -> Result<Value> {
        let Submitted { id, sequence } = submitted;
        let path = format!("/v1/submissions/{id}?min_seq={sequence}&wait={WAIT_SECONDS}");
        for _ in 0..POLLS_MAX {
            let view = self.get(&path).await?.ok()?;
            if is_terminal(&view) {
                return Ok(view);
            }
        }
        bail!("submission {id} has not ended after {POLLS_MAX} polls of {WAIT_SECONDS} s")
    }

    /// Submits a program and returns how it ended.
    pub async fn run(&self, body: &Value) -> Result<Value> {
        let submitted = self.submit(body).await?;
        self.ended(&submitted).await
    }
}

/// Tells whether a submission's view says that it has ended.
pub fn is_terminal(view: &Value) -> bool {
    TERMINAL.iter().any(|state| view["state"] == *state)
}

impl Answer {
    /// Returns the body of a 200.
    pub fn ok(self) -> Result<Value> {
        ensure!(self.status == StatusCode::OK, "status {}: {}", self.status, self.json);
        Ok(self.json)
    }

    /// Returns what a 202 promises.
    pub fn submitted(&self) -> Result<Submitted> {
        ensure!(self.status == StatusCode::ACCEPTED, "status {}: {}", self.status, self.json);
        let id = self.json["id"].as_str().context("the answer has no id")?.to_owned();
        let sequence = self.json["sequence"].as_u64().context("the answer has no sequence")?;
        Ok(Submitted { id, sequence })
    }

    /// Returns a header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Checks that the answer is a problem document of this status and kind.
    pub fn expect_problem(&self, status: u16, slug: &str) -> Result<()> {
        let shown = format!("{} {:?} {}", self.status, self.header("content-type"), self.json);
        ensure!(self.status.as_u16() == status, "expected {status}, got {shown}");
        ensure!(
            self.header("content-type") == Some("application/problem+json"),
            "no problem: {shown}"
        );
        ensure!(self.json["type"] == format!("/problems/{slug}"), "expected {slug}, got {shown}");
        ensure!(self.json["status"] == status, "the body says another status: {shown}");
        ensure!(self.json["request_id"].is_string(), "there is no request id: {shown}");
        Ok(())
    }

    /// Returns the pointers of a problem's faults, sorted.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        let mut pointers: Vec<String> = errors
            .iter()
            .filter_map(|error| error["pointer"].as_str().map(str::to_owned))
            .collect();
        pointers.sort();
        pointers
    }
}
