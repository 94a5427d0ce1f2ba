//! The token that a person at this machine uses. Its signing is `platform`'s.

use anyhow::{Context, Result};
use platform::auth::{Claims, mint};
use platform::clock::{Clock, SystemClock};
use platform::config::TokenSecret;

use crate::secrets::Secret;

/// Everything that a token can allow.
const SCOPE: &str = "submit read:any admin";

/// Long enough to work with for a month.
const LIFETIME_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Mints a token for the user `demo`.
pub(crate) fn demo(secret: &Secret) -> Result<String> {
    let now =
        u64::try_from(SystemClock.now().timestamp()).context("the clock stands before 1970")?;
    let key = TokenSecret::try_from(secret.text().to_owned()).context("the signing secret")?;
    let claims = Claims {
        sub: "demo".to_owned(),
        scope: SCOPE.to_owned(),
        exp: now + LIFETIME_SECONDS,
        iat: now,
        nbf: None,
        iss: None,
        aud: None,
    };
    mint(&key, &claims).context("mint a token")
}
