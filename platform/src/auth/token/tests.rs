//! Every way in which a token is refused.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use chrono::DateTime;
use events::testing::ManualClock;
use serde_json::{Value, json};

use super::*;
use crate::auth::Scope;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a secret of more than thirty-two bytes";

fn secret(text: &str) -> TokenSecret {
    TokenSecret::try_from(text.to_owned()).unwrap()
}

fn config() -> AuthConfig {
    AuthConfig { hs256_secret: secret(SECRET), issuer: None, audience: None, leeway_seconds: 30 }
}

fn verifier(config: &AuthConfig) -> Verifier {
    let now = DateTime::from_timestamp(i64::try_from(NOW).unwrap(), 0).unwrap();
    Verifier::new(config).with_clock(Arc::new(ManualClock::at(now)))
}

fn claims() -> Value {
    json!({"sub": "ada", "scope": "submit read:any", "exp": NOW + 60, "iat": NOW - 5})
}

fn signed(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

/// A token with one claim set to a value, or taken away by null.
fn with(claim: &str, value: Value) -> String {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    signed(Algorithm::HS256, &claims, SECRET)
}

fn verify(token: &str) -> Result<Caller, AuthError> {
    verifier(&config()).verify(token)
}

fn unsigned(header: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(&claims()), BASE64.encode(signature))
}

#[test]
fn a_minted_token_is_accepted() {
    let claims = Claims {
        sub: "ada".to_owned(),
        scope: "submit admin".to_owned(),
        exp: NOW + 1,
        iat: NOW,
        nbf: None,
        iss: None,
        aud: None,
    };
    let caller = verify(&mint(&secret(SECRET), &claims).unwrap()).unwrap();
    assert_eq!(caller.user.as_str(), "ada");
    assert!(caller.may(Scope::Submit) && caller.may(Scope::Admin) && !caller.may(Scope::ReadAny));
}

#[test]
fn an_expired_token_is_refused_after_the_leeway() {
    verify(&with("exp", json!(NOW - 29))).unwrap();
    assert_eq!(verify(&with("exp", json!(NOW - 30))), Err(AuthError::Expired));
    assert_eq!(verify(&with("exp", json!(0))), Err(AuthError::Expired));
    verify(&with("exp", json!(u64::MAX))).unwrap();
}

#[test]
fn a_token_from_the_future_is_refused() {
    verify(&with("nbf", json!(NOW + 30))).unwrap();
    assert_eq!(verify(&with("nbf", json!(NOW + 31))), Err(AuthError::NotYetValid));
    assert_eq!(verify(&with("iat", json!(NOW + 31))), Err(AuthError::NotYetValid));
}

#[test]
fn a_token_of_another_secret_or_with_a_changed_part_is_refused() {
    let other = signed(Algorithm::HS256, &claims(), "another secret of thirty-two bytes and more");
    assert_eq!(verify(&other), Err(AuthError::Signature));
    let (good, admin) = (with("sub", json!("ada")), with("sub", json!("root")));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let grafted = format!("{}.{}.{}", parts(&good)[0], parts(&admin)[1], parts(&good)[2]);
    assert_eq!(verify(&grafted), Err(AuthError::Signature));
}

#[test]
fn every_algorithm_but_hs256_is_refused() {
    for header in
        [json!({"alg": "none"}), json!({"alg": "None", "typ": "JWT"}), json!({"alg": "nOnE"})]
    {
        for signature in [&b""[..], &b"x"[..]] {
            let refused = verify(&unsigned(&header, signature)).unwrap_err();
            assert!(
                matches!(refused, AuthError::Algorithm | AuthError::Claims | AuthError::Malformed),
                "{refused:?}"
            );
        }
    }
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(verify(&signed(algorithm, &claims(), SECRET)), Err(AuthError::Algorithm));
    }
    for name in ["RS256", "ES256", "PS256", "EdDSA"] {
        assert_eq!(
            verify(&unsigned(&json!({"alg": name}), b"signature")),
            Err(AuthError::Algorithm),
            "{name}"
        );
    }
}

#[test]
fn a_token_signed_with_hs256_and_a_public_key_as_the_secret_is_refused() {
    let public_key = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----\n";
    assert_eq!(verify(&signed(Algorithm::HS256, &claims(), public_key)), Err(AuthError::Signature));
}

#[test]
fn required_claims_are_named_when_missing() {
    assert_eq!(verify(&with("sub", Value::Null)), Err(AuthError::MissingClaim("sub".to_owned())));
    assert_eq!(verify(&with("exp", Value::Null)), Err(AuthError::MissingClaim("exp".to_owned())));
    assert_eq!(verify(&with("scope", Value::Null)).unwrap().scopes, HashSet::new());
}

#[test]
fn unknown_scopes_are_ignored_and_none_is_a_part_of_another() {
    let scopes = |list: &str| verify(&with("scope", json!(list))).unwrap().scopes;
    let known = scopes("submit read:anything  openid admin");
    assert_eq!(known, HashSet::from([Scope::Submit, Scope::Admin]));
    assert_eq!(scopes(""), HashSet::new());
    assert_eq!(scopes("Submit"), HashSet::new());
}

#[test]
fn claims_of_wrong_types_are_refused() {
    for (claim, value) in [
        ("sub", json!(7)),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("scope", json!(["submit"])),
    ] {
        assert_eq!(verify(&with(claim, value)), Err(AuthError::Claims), "{claim}");
    }
}

#[test]
fn a_subject_that_cannot_be_a_name_is_refused() {
    let long = "a".repeat(129);
    for (subject, why) in [
        ("", "a user id has 1 to 128 bytes, not 0"),
        (long.as_str(), "a user id has 1 to 128 bytes, not 129"),
        ("a\r\nb", "a user id has no control characters"),
    ] {
        let refused = verify(&with("sub", json!(subject))).unwrap_err();
        assert!(matches!(refused, AuthError::User(_)), "{refused:?}");
        assert_eq!(refused.to_string(), why);
    }
}

#[test]
fn critical_extensions_are_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".to_owned()]);
    let token =
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()))
            .unwrap();
    assert_eq!(verify(&token), Err(AuthError::Critical));
}

#[test]
fn issuer_and_audience_are_held_where_configured() {
    let config = AuthConfig {
        issuer: Some("us".to_owned()),
        audience: Some("runledger".to_owned()),
        ..config()
    };
    let verifier = verifier(&config);
    let token = |iss: Value, aud: Value| {
        let mut all = claims();
        all["iss"] = iss;
        all["aud"] = aud;
        signed(Algorithm::HS256, &all, SECRET)
    };
    verifier.verify(&token(json!("us"), json!("runledger"))).unwrap();
    verifier.verify(&token(json!("us"), json!(["x", "runledger"]))).unwrap();
    assert_eq!(verifier.verify(&token(json!("them"), json!("runledger"))), Err(AuthError::Issuer));
    assert_eq!(verifier.verify(&token(json!("us"), json!("x"))), Err(AuthError::Audience));
    let bare = signed(Algorithm::HS256, &claims(), SECRET);
    assert!(matches!(verifier.verify(&bare), Err(AuthError::MissingClaim(_))));
}

#[test]
fn a_token_for_another_audience_is_refused_even_where_none_is_configured() {
    assert_eq!(verify(&with("aud", json!("other-service"))), Err(AuthError::Audience));
}

#[test]
fn what_is_no_token_is_malformed() {
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", long.as_str()] {
        assert_eq!(verify(text), Err(AuthError::Malformed), "{text:.20}");
    }
}
