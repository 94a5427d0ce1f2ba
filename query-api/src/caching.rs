//! Entity tags, and how long a client may keep an answer. A finished submission never changes, but
//! for outputs that expire.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use events::SubmissionId;

/// For what has ended.
// Private, since a shared cache would show one user's submission to another.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// For what may change: the client asks each time.
const ASK: &str = "private, no-cache";

/// A strong tag of one version of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    /// The tag of a submission, or of its events, up to a sequence.
    pub(crate) fn of(id: SubmissionId, sequence: u64) -> Self {
        Self(format!("\"{id}-{sequence}\""))
    }

    /// The tag of the same version after so many of its outputs have expired.
    #[must_use]
    pub(crate) fn with_expired(self, expired: usize) -> Self {
        match expired {
            0 => self,
            _ => Self(format!("{}-expired-{expired}\"", self.0.trim_end_matches('"'))),
        }
    }

    /// The tag of a text, by its hash.
    pub(crate) fn of_content(content: &[u8]) -> Self {
        Self(format!("\"{}\"", events::Digest::of(content)))
    }

    /// Tells whether the client has this version already.
    pub(crate) fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        // Our own tags have no comma, so a split can only break tags that are not ours.
        let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
        // HTTP compares `If-None-Match` weakly: a proxy that compresses the body marks the tag as
        // weak.
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }

    /// Answers with a body, or 304 to a client that has it.
    pub(crate) fn answer(
        &self,
        headers: &HeaderMap,
        keep: Keep,
        body: impl IntoResponse,
    ) -> Response {
        let mut response = if self.is_known_to(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            body.into_response()
        };
        let tag = HeaderValue::from_str(&self.0).expect("a tag is made of ids, digits and hex");
        let control = match keep {
            Keep::ForEver => HeaderValue::from_static(FOR_EVER),
            Keep::Ask => HeaderValue::from_static(ASK),
            Keep::For(time) => {
                HeaderValue::from_str(&format!("private, max-age={}", time.as_secs()))
                    .expect("a number may stand in a header")
            }
        };
        // On a 304, too: a client updates its stored answer from these headers.
        let answered = response.headers_mut();
        answered.insert(ETAG, tag);
        answered.insert(CACHE_CONTROL, control);
        // Two users of one browser have one cache, and the token tells them apart.
        answered.insert(VARY, HeaderValue::from_static("authorization"));
        response
    }
}

/// How long a client may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    ForEver,
    For(Duration),
    Ask,
}

impl Keep {
    /// Returns how long an answer about a submission's events may be kept.
    pub(crate) fn ended(is_terminal: bool) -> Self {
        if is_terminal { Self::ForEver } else { Self::Ask }
    }

    /// Returns how long an answer about a submission may be kept, whose next output expires after
    /// this time.
    pub(crate) fn until_expiry(is_terminal: bool, next_in: Option<Duration>) -> Self {
        match next_in {
            Some(time) if is_terminal => Self::For(time),
            Some(_) | None => Self::ended(is_terminal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_by_any_list_that_has_it() {
        let tag = Tag("\"a-1\"".to_owned());
        let known = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
            }
            tag.is_known_to(&headers)
        };
        for good in ["\"a-1\"", "W/\"a-1\"", "*", "\"x\", \"a-1\""] {
            assert!(known(&[good]), "{good}");
        }
        assert!(known(&["\"x\"", "\"a-1\""]));
        for bad in ["a-1", "\"a-10\"", "\"a\"", ""] {
            assert!(!known(&[bad]), "{bad}");
        }
        assert!(!known(&[]));
    }
}
