//! The header `Idempotency-Key`.

use axum::http::HeaderMap;
use platform::problem::Problem;

use super::bounds::IDEMPOTENCY_KEY_BYTES_MAX;

/// The header's name.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A key that a client gave a request, so that it can be sent again: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Returns the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the key of a request that has one.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Problem::malformed("there is more than one Idempotency-Key header"));
        }
        let key = value.as_bytes();
        let printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
        match String::from_utf8(key.to_vec()) {
            Ok(key) if printable && (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) => {
                Ok(Some(Self(key)))
            }
            Ok(_) | Err(_) => Err(Problem::malformed(format!(
                "an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn key(values: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            let name = HeaderName::from_static(IDEMPOTENCY_KEY);
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        IdempotencyKey::of(&headers).map(|key| key.map(|key| key.0)).map_err(drop)
    }

    #[test]
    fn a_key_is_printable_ascii_of_bounded_length() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&[b"a b~!"]), Ok(Some("a b~!".to_owned())));
        assert_eq!(key(&[&[b'k'; 255]]), Ok(Some("k".repeat(255))));
        for bad in [&b""[..], &[b'k'; 256], "ü".as_bytes(), b"a\tb", b"\xff"] {
            assert_eq!(key(&[bad]), Err(()), "{bad:?}");
        }
        assert_eq!(key(&[b"a", b"a"]), Err(()));
    }
}
