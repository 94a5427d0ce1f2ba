//! The value of the header `Idempotency-Key`.

use super::bounds::IDEMPOTENCY_KEY_BYTES_MAX;

/// A key that a client gave a request, so that it can be sent again: 1 to 255 printable ASCII
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that cannot be a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Returns the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for IdempotencyKey {
    type Error = IdempotencyKeyError;

    fn try_from(key: &[u8]) -> Result<Self, IdempotencyKeyError> {
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        let printable = key.iter().all(|byte| (b' '..=b'~').contains(byte));
        match std::str::from_utf8(key) {
            Ok(key) if fits && printable => Ok(Self(key.to_owned())),
            Ok(_) | Err(_) => Err(IdempotencyKeyError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_ascii_of_bounded_length() {
        for good in [&b"a b~!"[..], &[b'k'; 255]] {
            let key = IdempotencyKey::try_from(good).unwrap();
            assert_eq!(key.as_str().as_bytes(), good);
        }
        for bad in [&b""[..], &[b'k'; 256], "ü".as_bytes(), b"a\tb", b"\xff"] {
            assert_eq!(IdempotencyKey::try_from(bad), Err(IdempotencyKeyError), "{bad:?}");
        }
    }
}
