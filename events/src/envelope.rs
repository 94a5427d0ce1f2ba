//! The stored form of an event: a CloudEvents 1.0 JSON object in structured mode.
//!
//! Format: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::Timestamp;
use crate::digest::Digest;
use crate::event::{Event, newest_form};
use crate::ids::{BootId, EventId, EventKey, SubmissionId};

/// The CloudEvents version of every stored event.
const SPEC_VERSION: &str = "1.0";
/// The content type of `data`.
const DATA_CONTENT_TYPE: &str = "application/json";
/// Why writing an event as JSON cannot fail.
const ALWAYS_JSON: &str = "an event has no map with other keys than texts";

/// One event with its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The event's id.
    pub id: EventId,
    /// Who wrote it, as a URI reference: `/executor/<name>`.
    pub source: String,
    /// The submission that it belongs to.
    pub submission: SubmissionId,
    /// The writer's clock; the stream's timestamp is the authority.
    pub time: Timestamp,
    /// The hash of the payload of the submission's previous event; absent in the first.
    pub previous: Option<Digest>,
    /// The id of the submission's first event.
    pub correlation: EventId,
    /// The id of the event that led to this one; absent in the first.
    pub causation: Option<EventId>,
    /// For whom it was written: `user:<sub>` or `executor:<name>`.
    pub actor: String,
    /// The W3C trace context of the writer's work, where there is one.
    pub traceparent: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Who writes.
#[derive(Clone, Debug)]
pub struct Writer {
    /// See [`Envelope::source`].
    pub source: String,
    /// See [`Envelope::actor`].
    pub actor: String,
    /// The boot id of the writing process.
    pub instance: BootId,
    /// See [`Envelope::traceparent`].
    pub traceparent: Option<String>,
}

/// The event that another one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Predecessor {
    pub id: EventId,
    pub digest: Digest,
    /// The id of the submission's first event.
    pub correlation: EventId,
}

/// An event as the stream keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Recorded {
    /// Its place in the stream, from 1: the authoritative order.
    pub sequence: u64,
    /// The server's clock when it was stored: the authoritative time.
    pub stored_at: Timestamp,
    pub digest: Digest,
    pub envelope: Envelope,
}

/// Why a payload is not an event that this version knows.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum FormError {
    /// It is not the JSON of a stored event.
    #[error("not a stored event")]
    Malformed(#[source] serde_json::Error),
    /// It has a type or a form of a newer version of Runledger: stop, and upgrade.
    #[error(
        "event type {kind:?} has the form {schema:?}, and this program knows {known}: it is older than the \
         ledger, upgrade it"
    )]
    Newer {
        /// The event's `type`.
        kind: String,
        /// The event's `dataschema`.
        schema: String,
        /// How many forms of the type this program knows.
        known: u16,
    },
    /// A CloudEvents attribute does not have the value that ours have.
    #[error("attribute {attribute} is {found:?}")]
    Attribute { attribute: &'static str, found: String },
}

/// The JSON object, its members in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredObject<D> {
    specversion: String,
    id: EventId,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: SubmissionId,
    time: Timestamp,
    datacontenttype: String,
    dataschema: String,
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Digest>,
    correlationid: EventId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causationid: Option<EventId>,
    actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    data: D,
}

/// What every version of an event says about itself.
#[derive(Deserialize)]
struct NamedForm {
    #[serde(rename = "type")]
    kind: String,
    dataschema: String,
}

impl NamedForm {
    /// Tells whether a newer version of Runledger wrote it. Bytes that do not claim a form of ours
    /// are no event, whatever type they name.
    fn newer(self) -> Option<FormError> {
        let Self { kind, dataschema } = self;
        let known = if Event::KINDS.contains(&kind.as_str()) { newest_form(&kind) } else { 0 };
        let number = dataschema.strip_prefix(&schema_prefix(&kind))?;
        let form: u16 = number.parse().ok()?;
        (form > known).then_some(FormError::Newer { kind, schema: dataschema, known })
    }
}

impl FormError {
    /// Tells whether a newer version of this program can read it.
    pub const fn is_newer(&self) -> bool {
        match self {
            Self::Newer { .. } => true,
            Self::Malformed(_) | Self::Attribute { .. } => false,
        }
    }
}

impl Envelope {
    /// Puts `event` into its context, and returns it with its stored bytes. The same writer, event
    /// and predecessor always give the same id.
    pub fn write(
        submission: SubmissionId,
        event: Event,
        writer: &Writer,
        previous: Option<Predecessor>,
        time: Timestamp,
    ) -> (Self, Vec<u8>) {
        let data = data_of(&event);
        let id = EventId::derive(&EventKey {
            submission,
            kind: event.kind(),
            attempt: event.attempt(),
            ordinal: event.ordinal(),
            writer: writer.instance,
            data: Digest::of(data.get().as_bytes()),
        });
        let envelope = Self {
            id,
            source: writer.source.clone(),
            submission,
            time,
            previous: previous.map(|event| event.digest),
            // The first event has no predecessor, and is its own correlation.
            correlation: previous.map_or(id, |event| event.correlation),
            causation: previous.map(|event| event.id),
            actor: writer.actor.clone(),
            traceparent: writer.traceparent.clone(),
            event,
        };
        let bytes = envelope.encode_with(&data);
        (envelope, bytes)
    }

    /// Returns the stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&data_of(&self.event))
    }

    fn encode_with(&self, data: &RawValue) -> Vec<u8> {
        let stored = StoredObject {
            specversion: SPEC_VERSION.to_owned(),
            id: self.id,
            source: self.source.clone(),
            kind: self.event.kind().to_owned(),
            subject: self.submission,
            time: self.time,
            datacontenttype: DATA_CONTENT_TYPE.to_owned(),
            dataschema: schema(self.event.kind(), self.event.form()),
            attempt: self.event.attempt(),
            previous: self.previous,
            correlationid: self.correlation,
            causationid: self.causation,
            actor: self.actor.clone(),
            traceparent: self.traceparent.clone(),
            data,
        };
        serde_json::to_vec(&stored).expect(ALWAYS_JSON)
    }

    /// Reads stored bytes. A form that this version does not know is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        // Unknown members are refused, too: a newer version may have put something into them that
        // changes what the event means.
        let stored: StoredObject<&RawValue> = serde_json::from_slice(bytes).map_err(|error| {
            // Such a version has given the form another number.
            let named = serde_json::from_slice::<NamedForm>(bytes).ok();
            named.and_then(NamedForm::newer).unwrap_or(FormError::Malformed(error))
        })?;
        expect_attribute("specversion", &stored.specversion, SPEC_VERSION)?;
        expect_attribute("datacontenttype", &stored.datacontenttype, DATA_CONTENT_TYPE)?;
        let event = upcast(&stored.kind, &stored.dataschema, stored.data)?;
        // The attempt stands twice, here and in the data, and both must agree.
        expect_attribute("attempt", &stored.attempt.to_string(), &event.attempt().to_string())?;
        Ok(Self {
            id: stored.id,
            source: stored.source,
            submission: stored.subject,
            time: stored.time,
            previous: stored.previous,
            correlation: stored.correlationid,
            causation: stored.causationid,
            actor: stored.actor,
            traceparent: stored.traceparent,
            event,
        })
    }
}

impl Recorded {
    /// Reads a stored message.
    pub fn decode(sequence: u64, stored_at: Timestamp, payload: &[u8]) -> Result<Self, FormError> {
        let envelope = Envelope::decode(payload)?;
        // The hash of the stored bytes, not of what this version would write: the next event's
        // `previous` is compared with what the stream holds.
        Ok(Self { sequence, stored_at, digest: Digest::of(payload), envelope })
    }

    /// Returns what the submission's next event must refer to.
    pub fn as_predecessor(&self) -> Predecessor {
        Predecessor {
            id: self.envelope.id,
            digest: self.digest,
            correlation: self.envelope.correlation,
        }
    }
}

/// The `dataschema` of a form.
fn schema(kind: &str, form: u16) -> String {
    format!("{}{form}", schema_prefix(kind))
}

fn schema_prefix(kind: &str) -> String {
    format!("urn:runledger:{kind}:")
}

fn data_of(event: &Event) -> Box<RawValue> {
    // Made through a tree, which sorts the members of every object: an event's id is derived from
    // these bytes, so their order must never change.
    let mut tagged = serde_json::to_value(event).expect(ALWAYS_JSON);
    to_raw_value(&tagged["data"].take()).expect(ALWAYS_JSON)
}

/// Turns the stored data of any known form into the newest form's event.
///
/// What a later form has added has a default, which the event's own type names, so that no data is
/// rewritten here so far.
fn upcast(kind: &str, dataschema: &str, data: &RawValue) -> Result<Event, FormError> {
    // Before serde reads it: serde would call an event of a newer version malformed, and a reader
    // would put it aside instead of stopping.
    let named = NamedForm { kind: kind.to_owned(), dataschema: dataschema.to_owned() };
    if let Some(newer) = named.newer() {
        return Err(newer);
    }
    let is_known = (1..=newest_form(kind)).any(|form| dataschema == schema(kind, form));
    if !is_known {
        return Err(foreign_attribute("dataschema", dataschema));
    }
    // The type goes first, so that serde reads the data as what it is: a tree of values in between
    // would cost every event of a rebuild one more pass. A known type needs no escapes.
    let tagged = format!(r#"{{"type":"{kind}","data":{data}}}"#);
    serde_json::from_str(&tagged).map_err(FormError::Malformed)
}

fn expect_attribute(attribute: &'static str, found: &str, expected: &str) -> Result<(), FormError> {
    if found == expected {
        return Ok(());
    }
    Err(foreign_attribute(attribute, found))
}

fn foreign_attribute(attribute: &'static str, found: &str) -> FormError {
    FormError::Attribute { attribute, found: found.to_owned() }
}
