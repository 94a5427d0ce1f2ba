//! The W3C trace context that a request came with, so that a service can pass it on.

use axum::http::HeaderMap;

/// The longest header that is taken: a trace context has 55 characters, and future versions of it
/// may have more. The ledger passes no longer one on with an event.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// A well-formed `traceparent`; a request that came with one has it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Takes the header of a request; one that is not well formed counts as none.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        // Of two headers neither can be trusted.
        let mut values = headers.get_all("traceparent").iter();
        let text = values.next()?.to_str().ok()?;
        (values.next().is_none() && well_formed(text)).then(|| Self(text.to_owned()))
    }

    /// Returns the header's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Version, trace id, parent id and flags in lower-case hex; later versions may have more after
/// them.
fn well_formed(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|part| part.len() == digits && part.bytes().all(is_digit))
    };
    let (Some(version), Some(trace), Some(parent), Some(_flags)) =
        (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let nonzero = |part: &str| part.bytes().any(|byte| byte != b'0');
    let ends = version != "00" || parts.next().is_none();
    version != "ff"
        && nonzero(trace)
        && nonzero(parent)
        && ends
        && text.len() <= TRACEPARENT_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_header_is_taken() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let good = format!("00-{trace}-b7ad6b7169203331-01");
        assert!(well_formed(&good));
        let later = |more: &str| format!("01-{trace}-b7ad6b7169203331-01-{more}");
        let longest = later(&"0".repeat(TRACEPARENT_BYTES_MAX - later("").len()));
        for good in [later("more"), longest.clone()] {
            assert!(well_formed(&good), "{good}");
        }
        for bad in [
            String::new(),
            good.to_uppercase(),
            format!("{good}-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-b7ad6b7169203331"),
            format!("{longest}0"),
        ] {
            assert!(!well_formed(&bad), "{bad}");
        }
    }
}
