//! `case_results`: its columns.

use events::event::CaseResult;
use events::{Exit, SubmissionId, Usage};
use uuid::Uuid;

use super::column_values::RowPlace;
use super::table::{JsonText, TableRow as _, table};
use crate::error::{Impossible, TooLarge};

table! {
    /// One row of `case_results`, without its generation.
    pub struct CaseRow: case_results {
        submission_id: Uuid => Key,
        case_number: i64 => Key,
        name: Option<JsonText> => Changing,
        verdict: String => Changing,
        exit_code: Option<i32> => Changing,
        exit_signal: Option<i32> => Changing,
        cpu_us: i64 => Changing,
        wall_us: i64 => Changing,
        discounted_us: i64 => Changing,
        memory_kib: i64 => Changing,
        output_sha256: String => Changing,
        points: i64 => Changing,
    }
}

/// Takes an exit apart into its code and its signal, of which one is absent.
pub fn code_and_signal(exit: Exit) -> (Option<i32>, Option<i32>) {
    match exit {
        Exit::Code(code) => (Some(code), None),
        Exit::Signal(signal) => (None, Some(signal)),
    }
}

impl CaseRow {
    /// Writes the result of a submission's case as its row.
    pub fn from_result(submission: SubmissionId, result: &CaseResult) -> Result<Self, TooLarge> {
        let key = format_args!("{submission}/{}", result.case);
        let place = RowPlace { table: Self::TABLE, key };
        let (exit_code, exit_signal) = code_and_signal(result.exit);
        Ok(Self {
            submission_id: submission.as_uuid(),
            case_number: i64::from(result.case),
            name: result.name.as_ref().map(JsonText::write),
            verdict: result.verdict.as_str().to_owned(),
            exit_code,
            exit_signal,
            cpu_us: place.fits("cpu_us", result.usage.cpu_us)?,
            wall_us: place.fits("wall_us", result.usage.wall_us)?,
            discounted_us: place.fits("discounted_us", result.usage.discounted_us)?,
            memory_kib: place.fits("memory_kib", result.usage.memory_kib)?,
            output_sha256: result.output_sha256.to_string(),
            points: i64::from(result.points),
        })
    }
}

impl TryFrom<CaseRow> for CaseResult {
    type Error = Impossible;

    fn try_from(row: CaseRow) -> Result<Self, Impossible> {
        let key = format!("{}/{}", row.submission_id, row.case_number);
        let place = RowPlace { table: CaseRow::TABLE, key };
        let exit = match (row.exit_code, row.exit_signal) {
            (Some(code), None) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (Some(_), Some(_)) => {
                return Err(place.impossible("exit_signal", "present beside an exit code"));
            }
            (None, None) => return Err(place.impossible("exit_code", "absent without a signal")),
        };
        Ok(Self {
            case: place.number("case_number", row.case_number)?,
            name: row.name.map(|name| place.json("name", &name)).transpose()?,
            verdict: place.word("verdict", &row.verdict)?,
            exit,
            usage: Usage {
                cpu_us: place.number("cpu_us", row.cpu_us)?,
                wall_us: place.number("wall_us", row.wall_us)?,
                discounted_us: place.number("discounted_us", row.discounted_us)?,
                memory_kib: place.number("memory_kib", row.memory_kib)?,
            },
            output_sha256: place.digest("output_sha256", &row.output_sha256)?,
            points: place.number("points", row.points)?,
        })
    }
}
