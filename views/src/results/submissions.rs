//! `submissions`: its columns, and how its row is joined with those of attempts and case results to
//! a fold.

use events::event::{CaseResult, LanguageRef};
use events::submission::{Attempt, Outcome};
use events::{Fold, State, Submission, SubmissionId, Timestamp, Verdict};
use uuid::Uuid;

use super::attempts::AttemptRow;
use super::case_results::CaseRow;
use super::column_values::RowPlace;
use super::outcome_columns::{score_from_columns, shown_of_outcome, usage_from_columns};
use super::table::{JsonText, TableRow as _, table};
use crate::error::{Impossible, TooLarge};

table! {
    /// One row of `submissions`, without its generation.
    pub struct SubmissionRow: submissions {
        submission_id: Uuid => Key,
        principal: String => Fixed,
        lane: String => Fixed,
        pool: String => Fixed,
        language: String => Fixed,
        language_version: String => Fixed,
        origin: String => Fixed,
        state: String => Changing,
        verdict: Option<String> => Changing,
        accepted_at: Timestamp => Fixed,
        compiled_at: Option<Timestamp> => Changing,
        cancellation_requested_at: Option<Timestamp> => Changing,
        finished_at: Option<Timestamp> => Changing,
        accepted_sequence: i64 => Fixed,
        sequence: i64 => Changing,
        violations: i64 => Changing,
        case_count: i64 => Fixed,
        suite_sha256: Option<String> => Fixed,
        request_hash: String => Fixed,
        compiled: Option<JsonText> => Changing,
        outcome: Option<JsonText> => Changing,
        cpu_us: Option<i64> => Changing,
        wall_us: Option<i64> => Changing,
        discounted_us: Option<i64> => Changing,
        memory_kib: Option<i64> => Changing,
        cases_total: Option<i64> => Changing,
        cases_passed: Option<i64> => Changing,
        points: Option<i64> => Changing,
        points_max: Option<i64> => Changing,
    }
}

impl SubmissionRow {
    /// Writes a submission as its row.
    pub fn from_submission(submission: &Submission, violations: u32) -> Result<Self, TooLarge> {
        let place = RowPlace { table: Self::TABLE, key: submission.id };
        let (usage, score) = shown_of_outcome(submission);
        let fits = |column, value: Option<u64>| value.map(|it| place.fits(column, it)).transpose();
        Ok(Self {
            submission_id: submission.id.as_uuid(),
            principal: submission.principal.to_string(),
            lane: submission.lane.as_str().to_owned(),
            pool: submission.pool.to_string(),
            language: submission.language.slug.to_string(),
            language_version: submission.language.version.clone(),
            origin: submission.origin.as_str().to_owned(),
            state: submission.state.as_str().to_owned(),
            verdict: submission.verdict().map(|verdict| verdict.as_str().to_owned()),
            accepted_at: submission.accepted_at,
            compiled_at: submission.compiled_at,
            cancellation_requested_at: submission.cancellation_requested_at,
            finished_at: submission.finished_at,
            accepted_sequence: place.fits("accepted_sequence", submission.accepted_sequence)?,
            sequence: place.fits("sequence", submission.sequence)?,
            violations: i64::from(violations),
            case_count: i64::from(submission.case_count),
            suite_sha256: submission.suite_sha256.map(|digest| digest.to_string()),
            request_hash: submission.request_hash.to_string(),
            compiled: submission.compiled.as_ref().map(JsonText::write),
            outcome: submission.outcome.as_ref().map(JsonText::write),
            cpu_us: fits("cpu_us", usage.map(|it| it.cpu_us))?,
            wall_us: fits("wall_us", usage.map(|it| it.wall_us))?,
            discounted_us: fits("discounted_us", usage.map(|it| it.discounted_us))?,
            memory_kib: fits("memory_kib", usage.map(|it| it.memory_kib))?,
            cases_total: score.map(|it| it.total.into()),
            cases_passed: score.map(|it| it.passed.into()),
            points: fits("points", score.map(|it| it.points))?,
            points_max: fits("points_max", score.map(|it| it.points_max))?,
        })
    }

    /// Joins the row with its attempts and case results, each in their order, to the fold that they
    /// were written from.
    pub fn into_fold(
        self,
        attempts: Vec<AttemptRow>,
        case_results: Vec<CaseRow>,
    ) -> Result<Fold, Impossible> {
        let place = RowPlace { table: Self::TABLE, key: self.submission_id };
        let attempts =
            attempts.into_iter().map(Attempt::try_from).collect::<Result<Vec<_>, _>>()?;
        let results =
            case_results.into_iter().map(CaseResult::try_from).collect::<Result<Vec<_>, _>>()?;
        let violations = place.number("violations", self.violations)?;
        let compiled = self.compiled.as_ref().map(|json| place.json("compiled", json));
        let outcome = self.outcome.as_ref().map(|json| place.json("outcome", json));
        let suite = self.suite_sha256.as_deref();
        let submission = Submission {
            id: SubmissionId::new(self.submission_id),
            principal: place.text("principal", &self.principal)?,
            lane: place.word("lane", &self.lane)?,
            pool: place.text("pool", &self.pool)?,
            language: self.language(&place)?,
            origin: place.word("origin", &self.origin)?,
            case_count: place.number("case_count", self.case_count)?,
            suite_sha256: suite.map(|text| place.digest("suite_sha256", text)).transpose()?,
            request_hash: place.digest("request_hash", &self.request_hash)?,
            state: place.word("state", &self.state)?,
            attempts,
            compiled: compiled.transpose()?,
            results,
            outcome: outcome.transpose()?,
            accepted_at: self.accepted_at,
            compiled_at: self.compiled_at,
            cancellation_requested_at: self.cancellation_requested_at,
            finished_at: self.finished_at,
            accepted_sequence: place.number("accepted_sequence", self.accepted_sequence)?,
            sequence: place.number("sequence", self.sequence)?,
        };
        // PostgreSQL's constraints hold single rows; what several columns and tables say together
        // is held here.
        self.check(&place, &submission)?;
        Ok(Fold { submission: Some(submission), violations })
    }

    /// Reads the language's columns.
    fn language(&self, place: &RowPlace<Uuid>) -> Result<LanguageRef, Impossible> {
        let slug = place.text("language", &self.language)?;
        Ok(LanguageRef { slug, version: self.language_version.clone() })
    }

    /// Holds the columns that say the same thing twice against each other.
    fn check(&self, place: &RowPlace<Uuid>, submission: &Submission) -> Result<(), Impossible> {
        let ended = match &submission.outcome {
            None => None,
            Some(Outcome::Completed(_)) => Some(State::Completed),
            Some(Outcome::Failed(_)) => Some(State::Failed),
            Some(Outcome::Cancelled(_)) => Some(State::Cancelled),
        };
        let state = submission.state;
        if ended != state.is_terminal().then_some(state) {
            return Err(place.impossible("outcome", format!("the state is {}", self.state)));
        }
        if self.verdict.as_deref() != submission.verdict().map(Verdict::as_str) {
            return Err(place.impossible("verdict", "the outcome has another"));
        }
        let (usage, score) = shown_of_outcome(submission);
        let columns = [self.cpu_us, self.wall_us, self.discounted_us, self.memory_kib];
        if usage_from_columns(place, columns)? != usage {
            return Err(place.impossible("cpu_us", "the outcome has another usage"));
        }
        let columns = [self.cases_total, self.cases_passed, self.points, self.points_max];
        if score_from_columns(place, columns)? != score {
            return Err(place.impossible("points", "the outcome has another score"));
        }
        if (1..).zip(&submission.attempts).any(|(number, attempt)| attempt.number != number) {
            return Err(place.impossible("attempts", "their numbers have a hole"));
        }
        if (0..).zip(&submission.results).any(|(number, result)| result.case != number) {
            return Err(place.impossible("case_results", "their numbers have a hole"));
        }
        Ok(())
    }
}
