//! Submissions in a list: those columns of `submissions` that a list shows, and no others.

use events::event::LanguageRef;
use events::{Lane, State, SubmissionId, Timestamp, Usage, Verdict};
use uuid::Uuid;

use super::column_values::RowPlace;
use super::outcome_columns::{Score, score_from_columns, usage_from_columns};
use super::submissions::SubmissionRow;
use super::table::TableRow as _;
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
    pub score: Option<Score>,
    /// Lists are ordered by it.
    pub accepted_sequence: u64,
    pub sequence: u64,
}

/// A row of a list.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct SummaryRow {
    submission_id: Uuid,
    state: String,
    verdict: Option<String>,
    language: String,
    language_version: String,
    lane: String,
    accepted_at: Timestamp,
    finished_at: Option<Timestamp>,
    cpu_us: Option<i64>,
    wall_us: Option<i64>,
    discounted_us: Option<i64>,
    memory_kib: Option<i64>,
    cases_total: Option<i64>,
    cases_passed: Option<i64>,
    points: Option<i64>,
    points_max: Option<i64>,
    accepted_sequence: i64,
    sequence: i64,
}

/// The columns of [`SummaryRow`].
// A list asks for these alone, and fails if a field of the row is not among them.
pub(super) const COLUMNS: [&str; 18] = [
    "submission_id",
    "state",
    "verdict",
    "language",
    "language_version",
    "lane",
    "accepted_at",
    "finished_at",
    "cpu_us",
    "wall_us",
    "discounted_us",
    "memory_kib",
    "cases_total",
    "cases_passed",
    "points",
    "points_max",
    "accepted_sequence",
    "sequence",
];

impl TryFrom<SummaryRow> for Summary {
    type Error = Impossible;

    fn try_from(row: SummaryRow) -> Result<Self, Impossible> {
        let place = RowPlace { table: SubmissionRow::TABLE, key: row.submission_id };
        let verdict = row.verdict.as_deref().map(|word| place.word("verdict", word));
        let usage = [row.cpu_us, row.wall_us, row.discounted_us, row.memory_kib];
        let score = [row.cases_total, row.cases_passed, row.points, row.points_max];
        let slug = place.text("language", &row.language)?;
        Ok(Self {
            id: SubmissionId::new(row.submission_id),
            state: place.word("state", &row.state)?,
            verdict: verdict.transpose()?,
            language: LanguageRef { slug, version: row.language_version },
            lane: place.word("lane", &row.lane)?,
            accepted_at: row.accepted_at,
            finished_at: row.finished_at,
            usage: usage_from_columns(&place, usage)?,
            score: score_from_columns(&place, score)?,
            accepted_sequence: place.number("accepted_sequence", row.accepted_sequence)?,
            sequence: place.number("sequence", row.sequence)?,
        })
    }
}
