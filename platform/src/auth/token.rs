//! Minting and checking tokens. The algorithm is fixed, whatever a token's header says, and the
//! time is the clock's.

use std::sync::Arc;

use events::names::NameError;
use events::{Clock, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Caller;
use crate::clock::SystemClock;
use crate::config::{AuthConfig, TokenSecret};

/// The longest token that is read.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The caller's name.
    pub sub: String,
    /// What the caller may do, separated by spaces.
    pub scope: String,
    /// When the token ends, in seconds since 1970.
    pub exp: u64,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// From when on it is valid, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Which service it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
}

/// A token could not be made.
#[derive(Debug, Error)]
#[error("the token cannot be signed")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// Makes a token that says what the claims say.
pub fn mint(secret: &TokenSecret, claims: &Claims) -> Result<String, MintError> {
    let key = EncodingKey::from_secret(secret.expose_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key)?)
}

/// Why a token is refused. The messages go to the client.
#[derive(Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant has its message")]
pub enum AuthError {
    #[error("the token is not a well-formed JWT")]
    Malformed,
    #[error("the token is not signed with HS256")]
    Algorithm,
    #[error("the token's header has critical extensions")]
    Critical,
    #[error("the token's signature does not match")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token has no {0} claim")]
    MissingClaim(String),
    #[error("the token's claims are not of the right types")]
    Claims,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    /// The subject cannot be a user id.
    #[error(transparent)]
    User(#[from] NameError),
    /// The library or its keys are at fault, and not the token.
    #[error("the token cannot be checked")]
    Provider,
}

/// The claims as they come, so that each that is missing can be named.
#[derive(Deserialize)]
struct Received {
    sub: Option<String>,
    scope: Option<String>,
    exp: Option<u64>,
    iat: Option<u64>,
    nbf: Option<u64>,
}

/// Checks tokens.
#[derive(Debug)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
    leeway_seconds: u64,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Makes a verifier that goes by the machine's clock.
    pub fn new(config: &AuthConfig) -> Self {
        Self {
            key: DecodingKey::from_secret(config.hs256_secret.expose_bytes()),
            validation: validation(config),
            leeway_seconds: u64::from(config.leeway_seconds),
            clock: Arc::new(SystemClock),
        }
    }

    /// Goes by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Returns whom the token speaks for.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        // Before any decoding, so that a huge header costs nothing.
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Malformed);
        }
        let data: TokenData<Received> = jsonwebtoken::decode(token, &self.key, &self.validation)
            .map_err(|e| refusal(e.into_kind()))?;
        // RFC 7515 §4.1.11: a token whose critical extensions are not understood has to be refused,
        // and we understand none.
        if data.header.crit.is_some() {
            return Err(AuthError::Critical);
        }
        self.check_times(&data.claims)?;
        let user = data.claims.sub.ok_or_else(|| AuthError::MissingClaim("sub".to_owned()))?;
        let scopes = data.claims.scope.unwrap_or_default();
        // An issuer may give scopes for other services, too, so a name that is unknown here is left
        // out.
        let scopes = scopes.split(' ').filter_map(|name| name.parse().ok()).collect();
        Ok(Caller { user: UserId::try_from(user)?, scopes })
    }

    fn check_times(&self, claims: &Received) -> Result<(), AuthError> {
        let now = u64::try_from(self.clock.now().timestamp()).unwrap_or_default();
        let expires = claims.exp.ok_or_else(|| AuthError::MissingClaim("exp".to_owned()))?;
        if now >= expires.saturating_add(self.leeway_seconds) {
            return Err(AuthError::Expired);
        }
        let latest = now.saturating_add(self.leeway_seconds);
        // A token that was made in the future comes from a clock that is wrong, or from an
        // attacker.
        if claims.nbf.max(claims.iat).is_some_and(|starts| starts > latest) {
            return Err(AuthError::NotYetValid);
        }
        Ok(())
    }
}

/// Returns what the library is to check.
fn validation(config: &AuthConfig) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    // Times are checked here and not by the library, which would go by the machine's clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.required_spec_claims.clear();
    if let Some(issuer) = &config.issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    if let Some(audience) = &config.audience {
        validation.set_audience(&[audience]);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    validation
}

fn refusal(kind: ErrorKind) -> AuthError {
    match kind {
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::UnsupportedAlgorithm => AuthError::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) => AuthError::MissingClaim(claim),
        ErrorKind::InvalidIssuer => AuthError::Issuer,
        ErrorKind::InvalidAudience => AuthError::Audience,
        ErrorKind::InvalidClaimFormat(_) => AuthError::Claims,
        ErrorKind::Json(error) if error.is_data() => AuthError::Claims,
        ErrorKind::InvalidToken
        | ErrorKind::Json(_)
        | ErrorKind::Base64(_)
        | ErrorKind::Utf8(_) => AuthError::Malformed,
        // The library's enum is open. What else it has is about keys, and the token is refused all
        // the same.
        _ => AuthError::Provider,
    }
}

#[cfg(test)]
mod tests;
