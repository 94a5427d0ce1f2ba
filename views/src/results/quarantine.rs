//! `quarantined_messages`: what stands in the ledger and is no event of ours, written by the batch
//! that passes it by. Its bytes may be anything, so they are cut, and never read as text.

use events::{Digest, LedgerId, LedgerPosition, Timestamp};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::column_values::RowPlace;
use crate::error::{Impossible, WriteError};

const TABLE: &str = "quarantined_messages";
/// How many characters of a subject or a reason are kept.
const TEXT_CHARS_MAX: usize = 512;

// A message that is found again, as by a rebuild, stands there already.
const INSERT: &str = "
    insert into quarantined_messages
        (ledger_id, sequence, digest, subject, payload, payload_bytes, reason, stored_at)
    select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bigint[],
                         $7::text[], $8::timestamptz[])
    on conflict do nothing";

const LIST: &str = "
    select * from quarantined_messages where (sequence, ledger_id, digest) < ($1, $2, $3)
    order by sequence desc, ledger_id desc, digest desc limit $4";

/// A message of the ledger that is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct QuarantinedMessage {
    pub ledger: LedgerId,
    pub sequence: u64,
    pub digest: Digest,
    pub subject: String,
    /// Its first bytes.
    pub payload: Vec<u8>,
    /// How many bytes it has.
    pub payload_bytes: u64,
    /// Why it is no event.
    pub reason: String,
    pub stored_at: Timestamp,
}

impl QuarantinedMessage {
    /// How many bytes of a message are kept.
    pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

    /// Returns where it stands. Ledgers that were set back or replaced have one sequence more than
    /// once.
    pub const fn place(&self) -> LedgerPosition {
        LedgerPosition { ledger: self.ledger, sequence: self.sequence, digest: self.digest }
    }
}

#[derive(Debug, FromRow)]
struct QuarantineRow {
    ledger_id: Uuid,
    sequence: i64,
    digest: String,
    subject: String,
    payload: Vec<u8>,
    payload_bytes: i64,
    reason: String,
    stored_at: Timestamp,
}

impl TryFrom<QuarantineRow> for QuarantinedMessage {
    type Error = Impossible;

    fn try_from(row: QuarantineRow) -> Result<Self, Impossible> {
        let place = RowPlace { table: TABLE, key: row.sequence };
        Ok(Self {
            ledger: LedgerId::new(row.ledger_id),
            sequence: place.number("sequence", row.sequence)?,
            digest: place.digest("digest", &row.digest)?,
            subject: row.subject,
            payload: row.payload,
            payload_bytes: place.number("payload_bytes", row.payload_bytes)?,
            reason: row.reason,
            stored_at: row.stored_at,
        })
    }
}

/// The rows' columns.
#[derive(Default)]
struct Columns {
    ledgers: Vec<Uuid>,
    sequences: Vec<i64>,
    digests: Vec<String>,
    subjects: Vec<String>,
    payloads: Vec<Vec<u8>>,
    sizes: Vec<i64>,
    reasons: Vec<String>,
    times: Vec<Timestamp>,
}

impl Columns {
    fn push(&mut self, message: QuarantinedMessage) -> Result<(), WriteError> {
        let place = RowPlace { table: TABLE, key: message.sequence };
        self.sequences.push(place.fits("sequence", message.sequence)?);
        self.sizes.push(place.fits("payload_bytes", message.payload_bytes)?);
        self.ledgers.push(message.ledger.as_uuid());
        self.digests.push(message.digest.to_string());
        self.subjects.push(plain(&message.subject));
        let mut payload = message.payload;
        payload.truncate(QuarantinedMessage::PAYLOAD_BYTES_MAX);
        self.payloads.push(payload);
        self.reasons.push(plain(&message.reason));
        self.times.push(message.stored_at);
        Ok(())
    }
}

/// Writes messages, in the transaction of the batch that passes them by.
pub(super) async fn write(
    connection: &mut PgConnection,
    messages: Vec<QuarantinedMessage>,
) -> Result<(), WriteError> {
    if messages.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::default();
    for message in messages {
        columns.push(message)?;
    }
    sqlx::query(INSERT)
        .bind(columns.ledgers)
        .bind(columns.sequences)
        .bind(columns.digests)
        .bind(columns.subjects)
        .bind(columns.payloads)
        .bind(columns.sizes)
        .bind(columns.reasons)
        .bind(columns.times)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts the messages.
pub(super) async fn count(pool: &PgPool) -> Result<u64, WriteError> {
    let count: i64 =
        sqlx::query_scalar("select count(*) from quarantined_messages").fetch_one(pool).await?;
    Ok(RowPlace { table: TABLE, key: "*" }.number("count", count)?)
}

/// Reads the last messages before a place.
pub(super) async fn list(
    pool: &PgPool,
    before: Option<LedgerPosition>,
    limit: u32,
) -> Result<Vec<Result<QuarantinedMessage, Impossible>>, sqlx::Error> {
    // A bound that the column cannot hold lies above every row.
    let sequence = before.and_then(|before| i64::try_from(before.sequence).ok());
    let rows: Vec<QuarantineRow> = sqlx::query_as(LIST)
        .bind(sequence.unwrap_or(i64::MAX))
        .bind(before.map_or_else(Uuid::nil, |before| before.ledger.as_uuid()))
        .bind(before.map(|before| before.digest.to_string()).unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(QuarantinedMessage::try_from).collect())
}

/// Cuts a text, and leaves out what the type `text` refuses.
fn plain(text: &str) -> String {
    let plain = text.chars().map(|char| if char.is_control() { '\u{FFFD}' } else { char });
    plain.take(TEXT_CHARS_MAX).collect()
}
