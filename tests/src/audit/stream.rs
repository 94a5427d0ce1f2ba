//! The stream `LEDGER`, read message by message, and what has to hold inside of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::message::StreamMessage;
use events::submission::{Attempt, apply};
use events::{Digest, Envelope, Event, Family, Fold, Recorded, Subject, SubmissionId};

use crate::world::World;

/// One stored message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// The same, read.
    pub recorded: Recorded,
}

impl Message {
    /// Tells whether this ends the submission.
    pub fn ends(&self, id: SubmissionId) -> bool {
        self.recorded.envelope.submission == id && self.recorded.envelope.event.is_terminal()
    }
}

/// A stored message that is no event of ours. The ledger keeps it, and so does the record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct AuditedForeign {
    pub sequence: u64,
    pub subject: String,
    pub length: u64,
    pub sha256: Digest,
}

/// Everything that the stream holds, in order.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct AuditedLedger {
    pub messages: Vec<Message>,
    pub foreign: Vec<AuditedForeign>,
    pub last_sequence: u64,
}

impl AuditedLedger {
    fn take_in(&mut self, message: &StreamMessage) -> Result<()> {
        let (sequence, payload) = (message.sequence, message.payload.to_vec());
        let subject = message.subject.to_string();
        self.last_sequence = sequence;
        let recorded = match Recorded::decode(sequence, message.time, &payload) {
            Err(error) if error.is_newer() => {
                return Err(error).with_context(|| format!("sequence {sequence}"));
            }
            read => read.ok(),
        };
        let id = subject.parse::<Subject>().ok().map(|subject| subject.id);
        let its_own = recorded.filter(|recorded| id == Some(recorded.envelope.submission));
        if let Some(recorded) = its_own {
            self.messages.push(Message { subject, payload, recorded });
        } else {
            let (length, sha256) = (payload.len() as u64, Digest::of(&payload));
            self.foreign.push(AuditedForeign { sequence, subject, length, sha256 });
        }
        Ok(())
    }
}

/// Reads every message from the stream's leader.
pub async fn read_ledger(world: &World) -> Result<AuditedLedger> {
    let stream = world.viewer().await?.get_stream("LEDGER").await.context("open LEDGER")?;
    let state = &stream.cached_info().state;
    ensure!(
        state.messages == 0 || state.first_sequence == 1,
        "the ledger begins at {}",
        state.first_sequence
    );
    let mut ledger = AuditedLedger::default();
    for sequence in 1..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await;
        let message = message.with_context(|| format!("sequence {sequence} is missing"))?;
        ensure!(message.sequence == sequence, "asked for {sequence}, got {}", message.sequence);
        ledger.take_in(&message)?;
    }
    Ok(ledger)
}

/// Folds every submission, and checks subjects, hash chains and who wrote what on the way (I3, I4).
pub(super) fn fold(messages: &[Message]) -> Result<BTreeMap<SubmissionId, Fold>> {
    let mut folds: BTreeMap<SubmissionId, Fold> = BTreeMap::new();
    let mut heads: BTreeMap<SubmissionId, &Recorded> = BTreeMap::new();
    for message in messages {
        let recorded = &message.recorded;
        let id = recorded.envelope.submission;
        let at = || format!("sequence {}", recorded.sequence);
        check_subject(message).with_context(at)?;
        check_chain(heads.insert(id, recorded), message).with_context(at)?;
        let fold = folds.entry(id).or_default();
        check_writer(fold, &recorded.envelope).with_context(at)?;
        *fold = apply(std::mem::take(fold), recorded);
    }
    Ok(folds)
}

fn check_subject(message: &Message) -> Result<()> {
    let subject: Subject = message.subject.parse()?;
    let envelope = &message.recorded.envelope;
    ensure!(subject.id == envelope.submission, "the subject is another submission's");
    let first = matches!(envelope.event, Event::Accepted(_));
    let family = if first { Family::Submission } else { Family::Outcome };
    ensure!(subject.family == family, "{} on {}", envelope.event.kind(), message.subject);
    Ok(())
}

/// Each event names the hash of the bytes before it, and its cause.
fn check_chain(before: Option<&Recorded>, message: &Message) -> Result<()> {
    let envelope = &message.recorded.envelope;
    ensure!(
        message.recorded.digest == Digest::of(&message.payload),
        "the digest is not that of the bytes"
    );
    ensure!(envelope.previous == before.map(|before| before.digest), "the hash chain is broken");
    ensure!(
        envelope.causation == before.map(|before| before.envelope.id),
        "the cause is another event"
    );
    let first = before.map_or(envelope.id, |before| before.envelope.correlation);
    ensure!(envelope.correlation == first, "the correlation is another submission's");
    Ok(())
}

/// What an attempt reports comes from the life that started it: the life is part of the event's id.
fn check_writer(fold: &Fold, envelope: &Envelope) -> Result<()> {
    let reports =
        matches!(envelope.event, Event::Compiled(_) | Event::Judged(_) | Event::Completed(_));
    if !reports {
        return Ok(());
    }
    let submission = fold.submission.as_ref().context("a report before the acceptance")?;
    let attempt: &Attempt = submission.attempts.last().context("a report before the start")?;
    let writer = events::envelope::Writer {
        source: envelope.source.clone(),
        actor: envelope.actor.clone(),
        instance: attempt.boot_id,
        traceparent: None,
    };
    let (again, _) =
        Envelope::write(envelope.submission, envelope.event.clone(), &writer, None, envelope.time);
    ensure!(again.id == envelope.id, "attempt {} was reported by another life", attempt.number);
    Ok(())
}
