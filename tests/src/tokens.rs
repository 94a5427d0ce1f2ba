//! Tokens for tests, good ones and bad ones.

use anyhow::{Context, Result};
use events::Clock;
use platform::auth::{Claims, mint};
use platform::clock::SystemClock;
use platform::config::TokenSecret;

/// How long tokens last, in seconds: longer than any test.
const LIFE_SECONDS: u64 = 3_600;

/// The secret of one world.
#[derive(Clone, Debug)]
pub struct Secret {
    text: String,
    secret: TokenSecret,
}

impl Secret {
    /// Takes a text of at least 32 bytes.
    pub fn new(text: String) -> Result<Self> {
        let secret = TokenSecret::try_from(text.clone()).context("the test's secret")?;
        Ok(Self { text, secret })
    }

    /// Returns the text, for the services' configuration.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Makes a good token.
    pub fn token(&self, sub: &str, scope: &str) -> Result<String> {
        self.sign(&claims(sub, scope)?)
    }

    /// Makes a token that says what the claims say.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        mint(&self.secret, claims).context("sign a token")
    }
}

/// Returns the claims of a good token.
pub fn claims(sub: &str, scope: &str) -> Result<Claims> {
    let now = u64::try_from(SystemClock.now().timestamp())?;
    let (sub, scope) = (sub.to_owned(), scope.to_owned());
    Ok(Claims { sub, scope, exp: now + LIFE_SECONDS, iat: now, nbf: None, iss: None, aud: None })
}
