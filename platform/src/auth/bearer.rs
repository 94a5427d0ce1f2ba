//! The caller of a request, taken from its bearer token. A request without one is answered 401 with
//! a challenge (RFC 6750).

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::{Caller, Scope, Verifier};
use crate::problem::{Problem, Slug};

const REALM: &str = "Bearer realm=\"runledger\"";

impl Caller {
    /// Answers 403 unless the caller has the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        let name = scope.as_str();
        let challenge = format!("{REALM}, error=\"insufficient_scope\", scope=\"{name}\"");
        let detail = format!("this needs the scope {name}");
        Err(Problem::new(Slug::Forbidden, detail).with_challenge(challenge))
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let caller = Arc::<Verifier>::from_ref(state)
            .verify(token)
            .map_err(|error| invalid_token(&error.to_string()))?;
        // From here on every line of the request names the user.
        tracing::Span::current().record("user.id", caller.user.as_str());
        Ok(caller)
    }
}

/// Returns the token of the one Authorization header. A header of another scheme counts as none.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(no_token()) };
    // With two headers a proxy may have checked one, and we would take the other.
    if values.next().is_some() {
        return Err(invalid_token("there is more than one Authorization header"));
    }
    let text =
        value.to_str().map_err(|_opaque| invalid_token("the Authorization header is not ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(no_token()) }
}

fn no_token() -> Problem {
    let detail = "there is no bearer token in the Authorization header";
    Problem::new(Slug::Unauthenticated, detail).with_challenge(REALM.to_owned())
}

fn invalid_token(why: &str) -> Problem {
    // No text of ours has quotes or backslashes, so it can stand inside a quoted string.
    let challenge = format!("{REALM}, error=\"invalid_token\", error_description=\"{why}\"");
    Problem::new(Slug::Unauthenticated, why.to_owned()).with_challenge(challenge)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::header::WWW_AUTHENTICATE;
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use events::Clock;
    use tower::ServiceExt;

    use super::*;
    use crate::auth::{Claims, mint};
    use crate::clock::SystemClock;
    use crate::config::{AuthConfig, TokenSecret};

    fn config() -> AuthConfig {
        let hs256_secret =
            TokenSecret::try_from("0123456789abcdef0123456789abcdef".to_owned()).unwrap();
        AuthConfig { hs256_secret, issuer: None, audience: None, leeway_seconds: 0 }
    }

    fn token(scope: &str) -> String {
        let now = u64::try_from(SystemClock.now().timestamp()).unwrap();
        let (sub, scope) = ("ada".to_owned(), scope.to_owned());
        let claims =
            Claims { sub, scope, exp: now + 60, iat: now, nbf: None, iss: None, aud: None };
        mint(&config().hs256_secret, &claims).unwrap()
    }

    async fn ask(authorization: &[&str]) -> (StatusCode, Option<String>) {
        async fn handler(caller: Caller) -> Result<String, Problem> {
            caller.require(Scope::Submit)?;
            Ok(caller.user.to_string())
        }
        let router =
            Router::new().route("/", get(handler)).with_state(Arc::new(Verifier::new(&config())));
        let mut request = Request::get("/");
        for value in authorization {
            request = request.header(AUTHORIZATION, *value);
        }
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let challenge =
            response.headers().get(WWW_AUTHENTICATE).map(|v| v.to_str().unwrap().to_owned());
        (response.status(), challenge)
    }

    #[tokio::test]
    async fn a_good_token_is_let_in_whatever_the_case_of_the_scheme() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            assert_eq!(
                ask(&[&format!("{scheme} {}", token("submit"))]).await,
                (StatusCode::OK, None)
            );
        }
    }

    #[tokio::test]
    async fn no_token_is_challenged_without_an_error() {
        let challenge = Some("Bearer realm=\"runledger\"".to_owned());
        assert_eq!(ask(&[]).await, (StatusCode::UNAUTHORIZED, challenge.clone()));
        assert_eq!(ask(&["Basic YTpi"]).await, (StatusCode::UNAUTHORIZED, challenge));
    }

    #[tokio::test]
    async fn a_bad_token_is_challenged_with_its_error() {
        let expected = |why: &str| {
            let text = format!(
                "Bearer realm=\"runledger\", error=\"invalid_token\", error_description=\"{why}\""
            );
            (StatusCode::UNAUTHORIZED, Some(text))
        };
        for header in ["Bearer", "Bearer ", "Bearer a.b.c"] {
            assert_eq!(ask(&[header]).await, expected("the token is not a well-formed JWT"));
        }
        let good = format!("Bearer {}", token("submit"));
        assert_eq!(
            ask(&[&good, &good]).await,
            expected("there is more than one Authorization header")
        );
    }

    #[tokio::test]
    async fn a_missing_scope_is_forbidden_and_named() {
        let (status, challenge) = ask(&[&format!("Bearer {}", token("read:any"))]).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(
            challenge.unwrap(),
            "Bearer realm=\"runledger\", error=\"insufficient_scope\", scope=\"submit\""
        );
    }
}
