//! A user of the HTTP API in a test: the client that everybody uses, and besides it requests that
//! no well-behaved client sends. Reads JSON, and none of our types.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use client::Client;
pub use client::Submitted;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

/// How long a submission may take to end.
const END_PATIENCE: Duration = Duration::from_mins(2);

/// A user with a token, or with none.
#[derive(Clone, Debug)]
pub struct TestClient(Client);

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as JSON; null where it is none.
    pub json: Value,
}

impl TestClient {
    /// Makes a client of the server at `base`.
    pub fn new(base: &str, token: Option<String>) -> Result<Self> {
        Ok(Self(Client::new(base, token.map(Into::into).as_ref())?))
    }

    /// Returns the same client with another token.
    pub fn with_token(&self, token: Option<String>) -> Result<Self> {
        Ok(Self(self.0.with_token(token.map(Into::into).as_ref())?))
    }

    /// Sends a request, good or bad, and reads the whole answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Reply> {
        let header = |(name, value): &(&str, &str)| {
            anyhow::Ok((HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?))
        };
        let headers = headers.iter().map(header).collect::<Result<HeaderMap>>()?;
        let answer = self.0.send(method, path, headers, body).await;
        let answer = answer.with_context(|| format!("ask {path}"))?;
        let json = answer.read().unwrap_or_default();
        Ok(Reply { status: answer.status, headers: answer.headers, json })
    }

    /// Asks for a resource.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, &[], None).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::POST, path, &[], Some(serde_json::to_vec(body)?)).await
    }

    /// Submits a program that has to be accepted.
    pub async fn submit(&self, body: &Value) -> Result<Submitted> {
        self.post("/v1/submissions", body).await?.submitted()
    }

    /// Submits a program under a key, so that it can be repeated.
    pub async fn submit_keyed(&self, body: &Value, key: &str) -> Result<Reply> {
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
        let ended = self.0.ended(&submitted.id, submitted.sequence, |_| ());
        let answer = timeout(END_PATIENCE, ended).await;
        Ok(answer.with_context(|| format!("{} has not ended", submitted.id))??.read()?)
    }

    /// Submits a program and returns how it ended.
    pub async fn run(&self, body: &Value) -> Result<Value> {
        let submitted = self.submit(body).await?;
        self.ended(&submitted).await
    }
}

impl Reply {
    /// Returns the body of a 200.
    pub fn ok(self) -> Result<Value> {
        ensure!(self.status == StatusCode::OK, "status {}: {}", self.status, self.json);
        Ok(self.json)
    }

    /// Returns what a 202 promises.
    pub fn submitted(&self) -> Result<Submitted> {
        ensure!(self.status == StatusCode::ACCEPTED, "status {}: {}", self.status, self.json);
        Ok(serde_json::from_value(self.json.clone())?)
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
            "not a problem document: {shown}"
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
