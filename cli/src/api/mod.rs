//! Requests to a Runledger server: one address, one token, bounded retries. Knows no command and prints nothing but
//! notes about waiting.

mod problem;
mod retry;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

pub(crate) use self::problem::Problem;
use self::retry::Retry;
use crate::failure::Failure;
use crate::progress::Progress;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take beyond the time that the request itself asks the server to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A Runledger server.
#[derive(Debug)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    retry: Retry,
    progress: Progress,
}

/// An answer that says yes.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Vec<u8>,
}

impl Answer {
    /// Reads the body.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(Failure::Answer)
    }
}

/// What became of one try.
enum Tried {
    Done(Answer),
    Failed(Failure),
    Again { failure: Failure, asked: Option<Duration> },
}

impl Api {
    /// Makes a client of the server at `url`, which makes up to `retries` further tries where one may help.
    pub(crate) fn new(
        url: &str,
        token: Option<SecretString>,
        retries: u32,
        progress: Progress,
    ) -> Result<Self, Failure> {
        let base = base_url(url)?;
        let authorization = authorization(token)?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("runledger/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| Failure::Unreachable { url: url.to_owned(), attempts: 0, source })?;
        Ok(Self { http, base, authorization, retry: Retry::new(retries), progress })
    }

    /// Returns what shows the user that we wait.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Asks for a resource; `wait` is the time that the query asks the server to hold the request.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        wait: Duration,
    ) -> Result<Answer, Failure> {
        let request = self.request(Method::GET, path)?.query(query).timeout(ANSWER_TIMEOUT + wait);
        self.send(request).await
    }

    /// Posts a body. Retries repeat the same request, so it has to be one that the server carries out at most once.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: Option<Vec<u8>>,
        headers: HeaderMap,
    ) -> Result<Answer, Failure> {
        let mut request =
            self.request(Method::POST, path)?.headers(headers).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body);
        }
        self.send(request).await
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(not_a_base(self.base.as_str())),
        };
        let request = self.http.request(method, url).header(ACCEPT, "application/json");
        Ok(request.header(AUTHORIZATION, self.authorization.clone()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let mut attempt = 1;
        loop {
            let copy = request.try_clone().expect("a body of bytes can be sent again");
            match self.try_once(copy, attempt).await {
                Tried::Done(answer) => return Ok(answer),
                Tried::Failed(failure) => return Err(failure),
                Tried::Again { failure, asked } => {
                    let Some(delay) = self.retry.delay(attempt, asked) else { return Err(failure) };
                    self.progress
                        .note(&format!("{failure}; trying again in {} ms", delay.as_millis()));
                    tokio::time::sleep(delay).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn try_once(&self, request: RequestBuilder, attempts: u32) -> Tried {
        let unreachable = |error: reqwest::Error| {
            let url = self.base.as_str().trim_end_matches('/').to_owned();
            // The message names the server already.
            let source = error.without_url();
            Tried::Again { failure: Failure::Unreachable { url, attempts, source }, asked: None }
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Tried::Failed(not_sendable(&error)),
            Err(error) => return unreachable(error),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        match response.bytes().await {
            Ok(body) => judge(status, &headers, body.into(), attempts),
            Err(error) => unreachable(error),
        }
    }
}

/// Decides what an answer means for the request.
fn judge(status: StatusCode, headers: &HeaderMap, body: Vec<u8>, attempts: u32) -> Tried {
    if status.is_success() {
        return Tried::Done(Answer { body });
    }
    let problem = Box::new(Problem::read(status, &body));
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            Tried::Again { failure: Failure::Refused(problem), asked: retry_after(headers) }
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            let failure = Failure::Unavailable { problem, attempts };
            Tried::Again { failure, asked: retry_after(headers) }
        }
        status if status.is_server_error() => {
            Tried::Failed(Failure::Unavailable { problem, attempts })
        }
        _ => Tried::Failed(Failure::Refused(problem)),
    }
}

/// Makes the header of a token. One from a file may have a line end behind it.
fn authorization(token: Option<SecretString>) -> Result<HeaderValue, Failure> {
    let usage = |text: &str| Failure::Usage(text.to_owned());
    let token = token.ok_or_else(|| usage("no token: set RUNLEDGER_TOKEN, or give --token"))?;
    let bearer = format!("Bearer {}", token.expose_secret().trim());
    let header = HeaderValue::from_str(&bearer);
    let mut header =
        header.map_err(|_not_text| usage("the token is not one line of plain text"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Reads `Retry-After` in its form of seconds; our servers send no other.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn base_url(url: &str) -> Result<Url, Failure> {
    let base = Url::parse(url)
        .map_err(|error| Failure::Usage(format!("{url:?} is not a server's address: {error}")))?;
    if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
        return Err(not_a_base(url));
    }
    Ok(base)
}

fn not_a_base(url: &str) -> Failure {
    Failure::Usage(format!("{url:?} is not a server's address: it begins with http:// or https://"))
}

fn not_sendable(error: &reqwest::Error) -> Failure {
    Failure::Usage(format!("the request cannot be sent: {error}"))
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
            assert!(matches!(base_url(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_path_is_added_to_the_address_and_cannot_leave_it() {
        let api = |url| Api::new(url, Some("t".into()), 0, Progress::hidden()).unwrap();
        let url = |url, path: &[&str]| {
            api(url).request(Method::GET, path).unwrap().build().unwrap().url().to_string()
        };
        assert_eq!(url("http://h/a/", &["v1", "x"]), "http://h/a/v1/x");
        assert_eq!(url("http://h", &["v1", "../b?c"]), "http://h/v1/..%2Fb%3Fc");
    }

    #[test]
    fn an_answer_is_tried_again_only_where_that_may_help() {
        let again = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            matches!(judge(status, &HeaderMap::new(), Vec::new(), 1), Tried::Again { .. })
        };
        for status in [429, 502, 503, 504] {
            assert!(again(status), "{status}");
        }
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
