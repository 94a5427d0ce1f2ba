//! The id that follows one request through answers and logs.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use events::IdSource;

/// The header in which a request's id comes and goes.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may choose.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// A request's id; every request has one as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the id that the request came with if it is harmless, else draws one.
    pub(super) fn from_headers(headers: &HeaderMap, ids: &dyn IdSource) -> Self {
        let given = headers.get(REQUEST_ID_HEADER).filter(|value| is_harmless(value.as_bytes()));
        Self(given.cloned().unwrap_or_else(|| {
            HeaderValue::from_str(&ids.new_id().to_string())
                .expect("a UUID is made of hex digits and hyphens")
        }))
    }

    /// Returns the id as a header's value.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("an id is made of visible ASCII characters only")
    }
}

/// Tells whether an id can stand in a log line, a header and a URL.
fn is_harmless(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use events::testing::SeededIds;

    use super::*;

    #[test]
    fn a_harmless_id_is_taken_over_and_any_other_is_replaced() {
        let of = |value: &[u8]| {
            let headers = HeaderMap::from_iter([(
                REQUEST_ID_HEADER,
                HeaderValue::from_bytes(value).unwrap(),
            )]);
            RequestId::from_headers(&headers, &SeededIds::new(1)).as_str().to_owned()
        };
        let drawn = SeededIds::new(1).new_id().to_string();
        assert_eq!(of(b"edge-7.a:b_c"), "edge-7.a:b_c");
        assert_eq!(of(&[b'a'; 128]), "a".repeat(128));
        for bad in [&b""[..], b"a b", b"a\xffb", b"<x>", &[b'a'; 129]] {
            assert_eq!(of(bad), drawn);
        }
    }
}
