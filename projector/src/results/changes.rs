//! The pure half of `results`: folding a batch, and which rows have to be written after it. No SQL.

use std::collections::BTreeMap;

use events::submission::apply;
use events::{Fold, SubmissionId};
use views::error::TooLarge;
use views::results::{AttemptRow, CaseRow, RowChanges, SubmissionRow, UnacceptedRow};

use crate::batch::EventBatch;

/// The folds of some submissions. One that is absent has no event yet.
pub type States = BTreeMap<SubmissionId, Fold>;

/// Folds `batch` on top of `before`. Returns the states of the submissions that it touches.
#[must_use]
pub fn fold(before: &States, batch: &EventBatch) -> States {
    let mut after = States::new();
    for recorded in batch.events() {
        let id = recorded.envelope.submission;
        let state = after.entry(id).or_insert_with(|| before.get(&id).cloned().unwrap_or_default());
        *state = apply(std::mem::take(state), recorded);
    }
    after
}

/// Compares the states before a batch with those after it.
pub fn changes_between(before: &States, after: &States) -> Result<RowChanges, TooLarge> {
    let mut changes = RowChanges::default();
    for (&id, fold) in after {
        add(&mut changes, id, before.get(&id), fold)?;
    }
    Ok(changes)
}

fn add(
    changes: &mut RowChanges,
    id: SubmissionId,
    before: Option<&Fold>,
    after: &Fold,
) -> Result<(), TooLarge> {
    let Some(submission) = &after.submission else {
        // A row of `submissions` needs a user and a language, which only the acceptance names. The
        // violations are kept apart, so that an audit still finds them.
        changes.unaccepted.push(UnacceptedRow::from_violations(id, after.violations));
        return Ok(());
    };
    let known = before.and_then(|fold| fold.submission.as_ref());
    // Outcomes came before the acceptance: no writer of ours does that, but the ledger can hold it,
    // and the submission must not stand in both tables.
    if before.is_some() && known.is_none() {
        changes.accepted_late.push(id);
    }
    changes.submissions.push(SubmissionRow::from_submission(submission, after.violations)?);
    let attempts = known.map_or(&[][..], |known| &known.attempts);
    let begun = differing(attempts, &submission.attempts);
    changes.attempts.extend(begun.map(|attempt| AttemptRow::from_attempt(id, attempt)));
    // Only what differs: a suite of a thousand cases would otherwise be written anew for each
    // event.
    let results = known.map_or(&[][..], |known| &known.results);
    for result in differing(results, &submission.results) {
        changes.case_results.push(CaseRow::from_result(id, result)?);
    }
    // A new attempt begins without results.
    if results.len() > submission.results.len() {
        changes.dropped_results.push((id, submission.results.len()));
    }
    Ok(())
}

/// Returns the elements of `after` that do not stand at the same place in `before`.
fn differing<'a, T: PartialEq>(before: &[T], after: &'a [T]) -> impl Iterator<Item = &'a T> {
    after
        .iter()
        .enumerate()
        .filter(|(place, row)| before.get(*place) != Some(*row))
        .map(|(_, row)| row)
}
