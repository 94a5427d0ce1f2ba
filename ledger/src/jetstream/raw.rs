//! Single messages as the stream's leader tells them in JSON. No bytes of a message harm that. The
//! client cannot parse every delivery: one with a malformed header breaks its connection.

use std::str::FromStr as _;

use async_nats::HeaderName;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::Timestamp;
use events::subject::LEDGER_STREAM;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::store::Message;

/// The first line of the headers that a client writes. A server adds a status to its own.
const VERSION_LINE: &str = "NATS/1.0";
/// The header with the id that a message was published under.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Which message is asked for: the fields of JetStream's `STREAM.MSG.GET`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct MessageQuery<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_by_subj: Option<&'a str>,
}

impl<'a> MessageQuery<'a> {
    /// Asks for the message at `sequence`.
    pub(crate) const fn at(sequence: u64) -> Self {
        Self { seq: Some(sequence), next_by_subj: None, last_by_subj: None }
    }

    /// Asks for the first message at or after `from` whose subject matches `filter`.
    pub(crate) const fn next(filter: &'a str, from: u64) -> Self {
        Self { seq: Some(from), next_by_subj: Some(filter), last_by_subj: None }
    }

    /// Asks for the last message whose subject matches `filter`.
    pub(crate) const fn last(filter: &'a str) -> Self {
        Self { seq: None, next_by_subj: None, last_by_subj: Some(filter) }
    }
}

#[derive(Deserialize)]
struct Answer {
    message: RawMessage,
}

/// A message as the server tells it. Bytes of a subject that are no UTF-8 are U+FFFD here.
#[derive(Debug, Deserialize)]
pub(crate) struct RawMessage {
    subject: String,
    pub(crate) seq: u64,
    /// Base64, like the payload. Absent when there is none.
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: Timestamp,
}

/// Asks the leader once. None if there is no such message.
pub(crate) async fn read(
    context: &Context,
    query: MessageQuery<'_>,
) -> Result<Option<RawMessage>, Fault> {
    // Not a direct get, which a replica may answer: a conflict that is read back from a replica
    // could look like no conflict.
    let subject = format!("STREAM.MSG.GET.{LEDGER_STREAM}");
    match context.request(subject, &query).await? {
        Response::Ok(Answer { message }) => Ok(Some(message)),
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
        Response::Err { error } => Err(error.into()),
    }
}

impl RawMessage {
    /// Tells whether the client can take it as a delivery: the rules are those of its parser.
    pub(crate) fn is_deliverable(&self) -> Result<bool, Fault> {
        let headers = STANDARD.decode(&self.hdrs)?;
        let odd = |char: char| char.is_whitespace() || char == char::REPLACEMENT_CHARACTER;
        Ok(!self.subject.contains(odd) && (headers.is_empty() || are_plain(&headers)))
    }

    /// Returns it in the store's terms.
    pub(crate) fn into_message(self) -> Result<Message, Fault> {
        let headers = STANDARD.decode(&self.hdrs)?;
        Ok(Message {
            subject: self.subject,
            sequence: self.seq,
            stored_at: self.time,
            id: id_in(&String::from_utf8_lossy(&headers)),
            payload: STANDARD.decode(&self.data)?.into(),
        })
    }
}

/// Tells whether headers have the version, no status, and a name in each line.
fn are_plain(headers: &[u8]) -> bool {
    let Ok(headers) = std::str::from_utf8(headers) else { return false };
    let mut lines = headers.lines();
    // A carriage return that ends no line makes the client's parser panic.
    let is_named = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| HeaderName::from_str(name).is_ok()) && !line.contains('\r')
    };
    lines.next().is_some_and(|line| line.trim_end() == VERSION_LINE)
        && lines.filter(|line| !line.is_empty()).all(is_named)
}

fn id_in(headers: &str) -> Option<String> {
    let named = headers.lines().filter_map(|line| line.split_once(':'));
    let mut ids = named.filter(|(name, _)| *name == MESSAGE_ID);
    ids.next().map(|(_, id)| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(subject: &str, headers: &[u8]) -> RawMessage {
        let (subject, hdrs) = (subject.to_owned(), STANDARD.encode(headers));
        RawMessage { subject, seq: 1, hdrs, data: String::new(), time: Timestamp::default() }
    }

    #[test]
    fn what_our_writers_send_is_deliverable_and_has_its_id() {
        assert!(raw("ledger.x", b"").is_deliverable().unwrap());
        let ours = raw("ledger.x", b"NATS/1.0\r\nNats-Msg-Id: a:1\r\ntraceparent: 00-1\r\n\r\n");
        assert!(ours.is_deliverable().unwrap());
        assert_eq!(ours.into_message().unwrap().id.as_deref(), Some("a:1"));
    }

    #[test]
    fn what_the_client_cannot_parse_is_not_deliverable() {
        let cases: [(&str, &[u8]); 9] = [
            ("ledger.x", b" NATS/1.0\r\n\r\n"),
            ("ledger.x", b"NATS/1.0\r\na: b\rc\r\n\r\n"),
            ("ledger.x", b"NATS/1.0\r\nno colon\r\n\r\n"),
            ("ledger.x", b"NATS/1.0\r\nba d: x\r\n\r\n"),
            ("ledger.x", b"NATS/1.0 100\r\n\r\n"),
            ("ledger.x", b"HTTP/1.1\r\n\r\n"),
            ("ledger.x", b"NATS/1.0\r\na: \xff\r\n\r\n"),
            ("ledger.\u{FFFD}", b""),
            ("ledger.\u{00A0}", b""),
        ];
        for (subject, headers) in cases {
            assert!(!raw(subject, headers).is_deliverable().unwrap(), "{subject} {headers:?}");
        }
    }
}
