//! Requests to one server with one token. Only requests that are safe to repeat are repeated, and
//! only as often as the caller allows.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use backon::Retryable as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::answer::HttpAnswer;
use crate::error::ClientError;
use crate::problem::ServerProblem;
use crate::request::NewSubmission;
use crate::retry::{FailedTry, Retries};
use crate::views::{StoredEvent, SubmissionView};

/// How long a connection may take to be made. The kernel would go on for minutes.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take, beyond the time that the request asks the server to hold it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the server is asked to hold a poll, which is the longest that it allows.
const POLL_WAIT: Duration = Duration::from_secs(30);

/// The longest `Retry-After` of a refusal that is waited for at all.
const WAIT_WORTH_MAX: Duration = Duration::from_hours(1);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Returns the header of an idempotency key.
pub fn idempotency_header(text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(text).map_err(|_not_ascii| ClientError::Key)
}

/// A server, and the token for it.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    retries: Retries,
}

impl Client {
    /// Makes a client of the server at `url` that tries each request once.
    pub fn new(url: &str, token: Option<&SecretString>) -> Result<Self, ClientError> {
        let base = base_url(url)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .user_agent(concat!("runledger/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // A proxy would look for this address on its own machine.
            http = http.no_proxy();
        }
        let http = http.build().map_err(ClientError::Setup)?;
        let authorization = token.map(authorization).transpose()?;
        Ok(Self { http, base, authorization, retries: Retries::default() })
    }

    /// Repeats a request up to `max` times where that may help, and calls `notify` before each
    /// wait.
    #[must_use]
    pub fn retrying(
        self,
        max: u32,
        notify: impl Fn(&ClientError, Duration) + Send + Sync + 'static,
    ) -> Self {
        Self { retries: Retries { max, notify: Arc::new(notify) }, ..self }
    }

    /// Returns the same client with another token, or with none.
    pub fn with_token(&self, token: Option<&SecretString>) -> Result<Self, ClientError> {
        let authorization = token.map(authorization).transpose()?;
        Ok(Self { authorization, ..self.clone() })
    }

    /// Sends one request once, and returns the answer with any status. `path` is added to the
    /// server's address as it is, and may have a query. A body is sent as JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<HttpAnswer, ClientError> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut request = self.authorized(self.http.request(method, url)).headers(headers);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, JSON).body(body);
        }
        let request = request.timeout(ANSWER_TIME_MAX + POLL_WAIT);
        // Never repeated: a test wants to see the very first answer.
        self.exchange(request, 1).await.map_err(|failed| failed.error)
    }

    /// Submits a program. With the same idempotency key the server runs it once, however often it
    /// is sent.
    pub async fn submit(
        &self,
        submission: &NewSubmission,
        idempotency_key: Option<&str>,
    ) -> Result<HttpAnswer, ClientError> {
        let mut request = self.request(Method::POST, &["v1", "submissions"])?;
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", idempotency_header(key)?);
        }
        self.ask(request.header(CONTENT_TYPE, JSON).body(submission.to_json())).await
    }

    /// Cancels a submission.
    pub async fn cancel(&self, id: &str, reason: Option<&str>) -> Result<HttpAnswer, ClientError> {
        let mut request = self.request(Method::POST, &["v1", "submissions", id, "cancel"])?;
        if let Some(reason) = reason {
            request = request.json(&json!({ "reason": reason }));
        }
        self.ask(request).await
    }

    /// Reads a submission as the server has it now.
    pub async fn submission(&self, id: &str) -> Result<HttpAnswer, ClientError> {
        self.ask(self.request(Method::GET, &["v1", "submissions", id])?).await
    }

    /// Polls until a submission has ended, and returns the last answer. Calls `seen` with the
    /// others.
    pub async fn ended(
        &self,
        id: &str,
        sequence: u64,
        mut seen: impl FnMut(&SubmissionView),
    ) -> Result<HttpAnswer, ClientError> {
        let mut min_seq = sequence;
        loop {
            let answer = self.poll(id, min_seq).await?;
            let submission = SubmissionView::read(&answer.read()?)?;
            if submission.has_ended() {
                return Ok(answer);
            }
            seen(&submission);
            // The next poll may reach another query-api, whose view is behind: without this the
            // state could go back.
            min_seq = min_seq.max(submission.sequence);
        }
    }

    async fn poll(&self, id: &str, min_seq: u64) -> Result<HttpAnswer, ClientError> {
        let query = [("wait", POLL_WAIT.as_secs()), ("min_seq", min_seq)];
        let request = self.request(Method::GET, &["v1", "submissions", id])?.query(&query);
        self.ask(request.timeout(ANSWER_TIME_MAX + POLL_WAIT)).await
    }

    /// Reads the ledger's record of a submission.
    pub async fn events(&self, id: &str) -> Result<Vec<StoredEvent>, ClientError> {
        self.ask(self.request(Method::GET, &["v1", "submissions", id, "events"])?).await?.read()
    }

    /// Reads the newest submissions of the caller, up to `limit`.
    pub async fn newest(&self, limit: u32) -> Result<HttpAnswer, ClientError> {
        let request = self.request(Method::GET, &["v1", "submissions"])?;
        self.ask(request.query(&[("limit", limit)])).await
    }

    /// Reads one page of the messages of the ledger that are no event, the last first.
    pub async fn quarantine(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<HttpAnswer, ClientError> {
        let request = self.request(Method::GET, &["v1", "admin", "quarantine"])?;
        let request = request.query(&[("limit", limit)]).query(&[("cursor", cursor)]);
        self.ask(request).await
    }

    /// Reads the list of languages.
    pub async fn languages(&self) -> Result<HttpAnswer, ClientError> {
        self.ask(self.request(Method::GET, &["v1", "languages"])?).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ClientError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            // Segment by segment, so that an id with a slash or a question mark stays one segment.
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(not_http(self.base.as_str())),
        };
        let request = self.http.request(method, url).header(ACCEPT, JSON);
        Ok(self.authorized(request).timeout(ANSWER_TIME_MAX))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(header) => request.header(AUTHORIZATION, header.clone()),
            None => request,
        }
    }

    /// Sends a request, and repeats it where that may help. Any status but a success is an error.
    async fn ask(&self, request: RequestBuilder) -> Result<HttpAnswer, ClientError> {
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            // A request is used up when it is sent, so each try sends a copy.
            let copy = request.try_clone().expect("a body of bytes can be sent again");
            let number = attempts;
            async move { judge(self.exchange(copy, number).await?, number) }
        };
        let answered = attempt
            .retry(self.retries.backoff())
            .when(|failed| failed.may_help_again)
            .adjust(|failed, own| own.map(|own| failed.wait(own)))
            .notify(|failed, wait| (self.retries.notify)(&failed.error, wait));
        answered.await.map_err(|failed| failed.error)
    }

    async fn exchange(
        &self,
        request: RequestBuilder,
        attempts: u32,
    ) -> Result<HttpAnswer, FailedTry> {
        let unreachable = |error: reqwest::Error| {
            let url = self.base.as_str().trim_end_matches('/').to_owned();
            // The message of our own error names the server already.
            let source = error.without_url();
            FailedTry::for_now(ClientError::Unreachable { url, attempts, source }, None)
        };
        let response = match request.send().await {
            Ok(response) => response,
            // Nothing was sent: the address, a header or the body cannot be written as HTTP.
            Err(error) if error.is_builder() => {
                return Err(FailedTry::for_good(ClientError::Unsendable(error)));
            }
            Err(error) => return Err(unreachable(error)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(unreachable)?.into();
        Ok(HttpAnswer { status, headers, body })
    }
}

/// Passes a success on. For any other status, decides whether another try may help.
fn judge(answer: HttpAnswer, attempts: u32) -> Result<HttpAnswer, FailedTry> {
    let HttpAnswer { status, headers, body } = &answer;
    if status.is_success() {
        return Ok(answer);
    }
    let problem = Box::new(ServerProblem::read(*status, body));
    let retry_after = retry_after(headers);
    Err(match *status {
        // Room that is free in days is of no use to this request.
        StatusCode::TOO_MANY_REQUESTS if retry_after.is_some_and(|wait| wait > WAIT_WORTH_MAX) => {
            FailedTry::for_good(ClientError::Refused(problem))
        }
        // The server refuses only for now.
        StatusCode::TOO_MANY_REQUESTS => {
            FailedTry::for_now(ClientError::Refused(problem), retry_after)
        }
        // From the service, or from a proxy that cannot reach it.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            FailedTry::for_now(ClientError::Unavailable { problem, attempts }, retry_after)
        }
        // A bug of the server: the same request would meet it again.
        status if status.is_server_error() => {
            FailedTry::for_good(ClientError::Unavailable { problem, attempts })
        }
        _ => FailedTry::for_good(ClientError::Refused(problem)),
    })
}

/// Makes the header of a token.
fn authorization(token: &SecretString) -> Result<HeaderValue, ClientError> {
    // A token that was read from a file may have a line end behind it.
    let bearer = format!("Bearer {}", token.expose_secret().trim());
    let mut header = HeaderValue::from_str(&bearer).map_err(|_not_text| ClientError::Token)?;
    // Hides the token when a request is printed for debugging.
    header.set_sensitive(true);
    Ok(header)
}

/// Reads `Retry-After` in its form of seconds; our servers send no other.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn base_url(url: &str) -> Result<Url, ClientError> {
    let base = Url::parse(url)
        .map_err(|error| ClientError::Address { url: url.to_owned(), why: error.to_string() })?;
    if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
        return Err(not_http(url));
    }
    Ok(base)
}

fn not_http(url: &str) -> ClientError {
    let why = "it has to begin with http:// or https://".to_owned();
    ClientError::Address { url: url.to_owned(), why }
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_are_servers() {
        for good in ["http://127.0.0.1:8080", "https://runledger.test/base/"] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost:8080", "ftp://x", "127.0.0.1:80", "data:,x"] {
            assert!(matches!(base_url(bad), Err(ClientError::Address { .. })), "{bad}");
        }
    }

    #[test]
    fn loopback_addresses_need_no_proxy() {
        for near in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:80/x"] {
            assert!(is_loopback(&base_url(near).unwrap()), "{near}");
        }
        for far in ["http://10.0.0.1", "http://localhost.example.org", "https://runledger.test"] {
            assert!(!is_loopback(&base_url(far).unwrap()), "{far}");
        }
    }

    #[test]
    fn a_path_is_added_to_the_address_and_cannot_leave_it() {
        let url = |url, path: &[&str]| {
            let client = Client::new(url, None).unwrap();
            client.request(Method::GET, path).unwrap().build().unwrap().url().to_string()
        };
        assert_eq!(url("http://h/a/", &["v1", "x"]), "http://h/a/v1/x");
        assert_eq!(url("http://h", &["v1", "../b?c"]), "http://h/v1/..%2Fb%3Fc");
    }

    #[test]
    fn a_token_is_one_line_of_text_and_never_shown() {
        let header = authorization(&"t \n".into()).unwrap();
        assert_eq!(header, "Bearer t");
        assert!(header.is_sensitive());
        assert!(matches!(authorization(&"a\nb".into()), Err(ClientError::Token)));
    }

    #[test]
    fn an_answer_is_tried_again_only_where_that_may_help() {
        let again = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = HttpAnswer { status, headers: HeaderMap::new(), body: Vec::new() };
            judge(answer, 1).is_err_and(|failed| failed.may_help_again)
        };
        for status in [429, 502, 503, 504] {
            assert!(again(status), "{status}");
        }
        let in_days = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("86400"))]);
        let status = StatusCode::TOO_MANY_REQUESTS;
        let answer = HttpAnswer { status, headers: in_days, body: Vec::new() };
        assert!(judge(answer, 1).is_err_and(|failed| !failed.may_help_again));
        for status in [200, 202, 400, 401, 403, 404, 409, 413, 422, 500, 501] {
            assert!(!again(status), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))])
        };
        assert_eq!(retry_after(&headers("3")), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(&headers("soon")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
