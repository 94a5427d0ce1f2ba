//! The pure half of `results`: folding a batch, and what of the folded states has to be written. No SQL.

use std::collections::BTreeMap;

use events::event::CaseResult;
use events::submission::{Attempt, apply};
use events::{Fold, Submission, SubmissionId};

use crate::batch::Batch;

/// The folds of some submissions. One that is absent has no event yet.
pub type States = BTreeMap<SubmissionId, Fold>;

/// Folds `batch` on top of `before`. Returns the states of the submissions that it touches.
#[must_use]
pub fn fold(before: &States, batch: &Batch) -> States {
    let mut after = States::new();
    for recorded in batch.events() {
        let id = recorded.envelope.submission;
        let state = after.entry(id).or_insert_with(|| before.get(&id).cloned().unwrap_or_default());
        *state = apply(std::mem::take(state), recorded);
    }
    after
}

/// What has to be written so that the rows of one state become the rows of the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// Rows of `submissions` to be inserted or replaced, with their violations.
    pub submissions: Vec<(&'a Submission, u32)>,
    /// Rows of `attempts` to be inserted or replaced.
    pub attempts: Vec<(SubmissionId, &'a Attempt)>,
    /// Rows of `case_results` to be inserted or replaced.
    pub case_results: Vec<(SubmissionId, &'a CaseResult)>,
    /// Rows of `case_results` to be deleted: from this case number on.
    pub dropped_results: Vec<(SubmissionId, usize)>,
    /// Rows of `unaccepted_submissions` to be inserted or replaced.
    pub unaccepted: Vec<(SubmissionId, u32)>,
    /// Rows of `unaccepted_submissions` to be deleted.
    pub accepted_late: Vec<SubmissionId>,
}

impl<'a> Changes<'a> {
    /// Compares the states before a batch with those after it.
    #[must_use]
    pub fn between(before: &States, after: &'a States) -> Self {
        let mut changes = Self::default();
        for (&id, fold) in after {
            changes.add(id, before.get(&id), fold);
        }
        changes
    }

    fn add(&mut self, id: SubmissionId, before: Option<&Fold>, after: &'a Fold) {
        let Some(submission) = &after.submission else {
            self.unaccepted.push((id, after.violations));
            return;
        };
        let known = before.and_then(|fold| fold.submission.as_ref());
        if before.is_some() && known.is_none() {
            self.accepted_late.push(id);
        }
        self.submissions.push((submission, after.violations));
        let attempts = known.map_or(&[][..], |known| &known.attempts);
        self.attempts.extend(differing(attempts, &submission.attempts).map(|row| (id, row)));
        let results = known.map_or(&[][..], |known| &known.results);
        self.case_results.extend(differing(results, &submission.results).map(|row| (id, row)));
        if results.len() > submission.results.len() {
            self.dropped_results.push((id, submission.results.len()));
        }
    }
}

/// Returns the elements of `after` that do not stand at the same place in `before`.
fn differing<'a, T: PartialEq>(before: &[T], after: &'a [T]) -> impl Iterator<Item = &'a T> {
    after
        .iter()
        .enumerate()
        .filter(|(place, row)| before.get(*place) != Some(*row))
        .map(|(_, row)| row)
}
