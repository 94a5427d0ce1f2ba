//! The fold of `results` and its rows, without a database.

use projector::results::{States, changes_between, fold};
use proptest::prelude::*;
use views::results::{AttemptRow, CaseRow, JsonText, RowChanges, SubmissionRow};

use crate::support::history::{Kind, batch, batches, followed, id, record, replay, step, steps};

proptest! {
    #[test]
    fn any_split_into_batches_gives_the_states_of_the_replay(
        steps in steps(60),
        cuts in prop::collection::vec(0..60_usize, 0..12),
    ) {
        let history = record(&steps);
        let mut states = States::new();
        for batch in batches(&history, &cuts) {
            states.extend(fold(&states, &batch));
        }
        prop_assert_eq!(states, replay(&history));
    }

    #[test]
    fn rows_and_folds_are_inverse_to_each_other(steps in steps(60)) {
        for fold in replay(&record(&steps)).into_values() {
            let Some(submission) = &fold.submission else { continue };
            let row = SubmissionRow::from_submission(submission, fold.violations).unwrap();
            let attempts: Vec<AttemptRow> =
                submission.attempts.iter().map(|it| AttemptRow::from_attempt(submission.id, it)).collect();
            let cases: Vec<CaseRow> = submission
                .results
                .iter()
                .map(|it| CaseRow::from_result(submission.id, it).unwrap())
                .collect();
            prop_assert_eq!(row.into_fold(attempts, cases).unwrap(), fold);
        }
    }

    #[test]
    fn the_changes_of_each_batch_lead_from_one_states_rows_to_the_next(
        steps in steps(60),
        cuts in prop::collection::vec(0..60_usize, 0..12),
    ) {
        let history = record(&steps);
        let mut states = States::new();
        let mut tables = Tables::default();
        for batch in batches(&history, &cuts) {
            let touched = fold(&states, &batch);
            let before = states.clone().into_iter().filter(|(id, _)| touched.contains_key(id));
            tables.write(changes_between(&before.collect(), &touched).unwrap());
            states.extend(touched);
        }
        prop_assert_eq!(tables.folds(), states);
    }
}

/// The tables, as the database would have them after the changes.
#[derive(Default)]
struct Tables {
    submissions: std::collections::BTreeMap<uuid::Uuid, SubmissionRow>,
    attempts: std::collections::BTreeMap<(uuid::Uuid, i64), AttemptRow>,
    cases: std::collections::BTreeMap<(uuid::Uuid, i64), CaseRow>,
    unaccepted: States,
}

impl Tables {
    fn write(&mut self, changes: RowChanges) {
        for row in changes.submissions {
            self.submissions.insert(row.submission_id, row);
        }
        for row in changes.attempts {
            self.attempts.insert((row.submission_id, row.number), row);
        }
        for (id, from) in changes.dropped_results {
            let from = i64::try_from(from).unwrap();
            self.cases.retain(|(of, number), _| *of != id.as_uuid() || *number < from);
        }
        for row in changes.case_results {
            self.cases.insert((row.submission_id, row.case_number), row);
        }
        for row in changes.unaccepted {
            let id = events::SubmissionId::new(row.submission_id);
            self.unaccepted.insert(id, row.try_into().unwrap());
        }
        self.unaccepted.retain(|id, _| !changes.accepted_late.contains(id));
    }

    fn folds(self) -> States {
        let mut folds = self.unaccepted;
        for (id, row) in self.submissions {
            let attempts = self.attempts.iter().filter(|((of, _), _)| *of == id);
            let cases = self.cases.iter().filter(|((of, _), _)| *of == id);
            let fold = row.into_fold(
                attempts.map(|(_, row)| row.clone()).collect(),
                cases.map(|(_, row)| row.clone()).collect(),
            );
            folds.insert(events::SubmissionId::new(id), fold.unwrap());
        }
        folds
    }
}

/// The rows of a completed submission with an attempt and a compilation.
fn completed() -> (SubmissionRow, Vec<AttemptRow>) {
    let kinds = [Kind::Accept, Kind::Start, Kind::Compile, Kind::Complete];
    let history = record(&kinds.map(|kind| step(0, kind)));
    let fold = fold(&States::new(), &batch(&history)).remove(&id(0)).unwrap();
    let submission = fold.submission.unwrap();
    let attempts =
        submission.attempts.iter().map(|it| AttemptRow::from_attempt(submission.id, it)).collect();
    (SubmissionRow::from_submission(&submission, 0).unwrap(), attempts)
}

#[test]
fn an_impossible_row_is_an_error_that_names_table_column_and_key() {
    let (good, attempts) = completed();
    good.clone().into_fold(attempts.clone(), Vec::new()).unwrap();
    let none = String::new;
    let faults = [
        ("state", SubmissionRow { state: "resting".to_owned(), ..good.clone() }),
        ("principal", SubmissionRow { principal: none(), ..good.clone() }),
        ("violations", SubmissionRow { violations: -1, ..good.clone() }),
        ("request_hash", SubmissionRow { request_hash: "AA".repeat(32), ..good.clone() }),
        ("outcome", SubmissionRow { outcome: None, ..good.clone() }),
        (
            "outcome",
            SubmissionRow { outcome: Some(JsonText::new("{}".to_owned())), ..good.clone() },
        ),
        ("verdict", SubmissionRow { verdict: Some("time_limit".to_owned()), ..good }),
    ];
    for (column, row) in faults {
        let error = row.into_fold(attempts.clone(), Vec::new()).unwrap_err();
        assert_eq!((error.table, error.column.as_str()), ("submissions", column));
        assert_eq!(error.key, id(0).to_string());
    }
}

#[test]
fn a_lost_attempt_without_a_time_is_impossible() {
    let (row, mut attempts) = completed();
    attempts[0].lost_reason = Some("not_held".to_owned());
    let error = row.into_fold(attempts, Vec::new()).unwrap_err();
    assert_eq!((error.table, error.column.as_str()), ("attempts", "lost_at"));
    assert_eq!(error.key, format!("{}/1", id(0)));
}

#[test]
fn a_hole_among_attempts_is_impossible() {
    let (row, mut attempts) = completed();
    attempts[0].number = 2;
    assert_eq!(row.into_fold(attempts, Vec::new()).unwrap_err().column, "attempts");
}

#[test]
fn a_hole_in_a_batch_is_refused() {
    let mut history = record(&[step(0, Kind::Accept), step(0, Kind::Start), step(0, Kind::Lose)]);
    history.remove(1);
    let error =
        projector::batch::EventBatch::new(history.iter().map(followed).collect()).unwrap_err();
    assert_eq!(error, projector::batch::BatchError::Hole { previous: 1, next: 3 });
}
