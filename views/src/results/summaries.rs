//! Submissions in a list: the columns of `submissions`, with the few parts of the outcome that a
//! list shows.

use events::event::{CasesSummary, LanguageRef};
use events::{Lane, State, SubmissionId, Timestamp, Usage, Verdict};

use super::column_values::RowPlace;
use super::submissions::SubmissionRow;
use super::table::{JsonText, TableRow as _};
use crate::error::Impossible;

/// A submission in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Summary {
    pub id: SubmissionId,
    pub state: State,
    pub verdict: Option<Verdict>,
    pub language: LanguageRef,
    pub lane: Lane,
    pub accepted_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub usage: Option<Usage>,
    pub cases: Option<CasesSummary>,
    /// Lists are ordered by it.
    pub accepted_sequence: u64,
    pub sequence: u64,
}

/// A row of a list. Outputs stand in the outcome, so it is not read whole.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct SummaryRow {
    #[sqlx(flatten)]
    submission: SubmissionRow,
    usage: Option<JsonText>,
    cases: Option<JsonText>,
}

/// The columns of `submissions` that a list leaves out.
pub(super) const LEFT_OUT: [&str; 2] = ["compiled", "outcome"];

/// What a list shows of the outcome. A program that never ran used nothing.
pub(super) const PARTS_OF_OUTCOME: &str = "
    case when ended #>> '{completed,exit}' is not null then (ended #> '{completed,usage}')::text end as usage,
    case when ended #>> '{completed,cases}' is not null then (ended #> '{completed,cases}')::text end as cases";

/// The outcome, for PostgreSQL to read. Its operators refuse a value with a `\u0000` anywhere in
/// it, which a program may well have printed; so it is taken for another character, of as many
/// letters, in texts that a list does not show.
// `offset 0` keeps PostgreSQL from merging this into the query, where it would make the value anew
// for each use.
pub(super) const READABLE_OUTCOME: &str = r"cross join lateral (select replace(outcome::text, '\u0000', '\ufffd')::json as ended offset 0) readable";

impl TryFrom<SummaryRow> for Summary {
    type Error = Impossible;

    fn try_from(row: SummaryRow) -> Result<Self, Impossible> {
        let SummaryRow { submission: row, usage, cases } = row;
        let place = RowPlace { table: SubmissionRow::TABLE, key: row.submission_id };
        let verdict = row.verdict.as_deref().map(|word| place.word("verdict", word));
        Ok(Self {
            id: SubmissionId::new(row.submission_id),
            state: place.word("state", &row.state)?,
            verdict: verdict.transpose()?,
            language: row.language(&place)?,
            lane: place.word("lane", &row.lane)?,
            accepted_at: row.accepted_at,
            finished_at: row.finished_at,
            usage: usage.map(|json| place.json("outcome", &json)).transpose()?,
            cases: cases.map(|json| place.json("outcome", &json)).transpose()?,
            accepted_sequence: place.number("accepted_sequence", row.accepted_sequence)?,
            sequence: place.number("sequence", row.sequence)?,
        })
    }
}
