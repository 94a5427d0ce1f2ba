//! The fold of `progress`, without a database.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use events::{State, SubmissionId};
use projector::batch::EventBatch;
use projector::progress::{Change, Fact, RECENT_MAX, Views, derive, fold_into_user, view};
use proptest::prelude::*;
use views::progress::{ByLane, ProgressKey, TrackedSubmission, UserProgress};

use crate::support::history::{Kind, Step, batch, batches, id, record, replay, step, steps};

/// Every document of the projection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Documents {
    tracked: BTreeMap<SubmissionId, TrackedSubmission>,
    views: Views,
}

/// Which of the documents a crash leaves written.
#[derive(Clone, Copy, Debug)]
enum Crash {
    BeforeViews,
    AfterSomeViews(u8),
    AfterViews,
    AfterSomeMemory(u8),
}

impl Documents {
    fn fold(&mut self, batch: &EventBatch) -> Vec<Fact> {
        let derived = derive(1, &self.tracked, batch);
        self.views = view(1, std::mem::take(&mut self.views), &derived.facts);
        self.tracked.extend(derived.tracked);
        derived.facts
    }

    /// Writes a part of what folding `batch` would write, in the order in which the store writes.
    fn crash(&mut self, batch: &EventBatch, crash: Crash) {
        let mut whole = self.clone();
        whole.fold(batch);
        let some = |bits: u8, place: usize| bits >> (place % 8) & 1 == 1;
        match crash {
            Crash::BeforeViews => {}
            Crash::AfterSomeViews(bits) => {
                let progress = whole.views.progress.into_iter().enumerate();
                let solved = whole.views.solved.into_iter().enumerate();
                let progress = progress.filter(|(place, _)| some(bits, *place));
                let solved = solved.filter(|(place, _)| some(bits, *place + 3));
                self.views.progress.extend(progress.map(|(_, document)| document));
                self.views.solved.extend(solved.map(|(_, document)| document));
            }
            Crash::AfterViews => self.views = whole.views,
            Crash::AfterSomeMemory(bits) => {
                self.views = whole.views;
                let tracked = whole.tracked.into_iter().enumerate();
                let tracked = tracked.filter(|(place, _)| some(bits, *place));
                self.tracked.extend(tracked.map(|(_, document)| document));
            }
        }
    }
}

fn folded(history: &[events::Recorded]) -> Documents {
    let mut documents = Documents::default();
    documents.fold(&batch(history));
    documents
}

fn crashes() -> impl Strategy<Value = Crash> {
    prop_oneof![
        Just(Crash::BeforeViews),
        any::<u8>().prop_map(Crash::AfterSomeViews),
        Just(Crash::AfterViews),
        any::<u8>().prop_map(Crash::AfterSomeMemory),
    ]
}

proptest! {
    #[test]
    fn any_split_into_batches_gives_the_same_documents(
        steps in steps(80),
        cuts in prop::collection::vec(0..80_usize, 0..12),
    ) {
        let history = record(&steps);
        let mut documents = Documents::default();
        for batch in batches(&history, &cuts) {
            documents.fold(&batch);
        }
        prop_assert_eq!(documents, folded(&history));
    }

    #[test]
    fn a_crash_at_any_point_and_a_replay_from_the_checkpoint_give_the_same_documents(
        steps in steps(80),
        cuts in prop::collection::vec(0..80_usize, 0..6),
        crash_after in 0..80_usize,
        crash in crashes(),
        cuts_after in prop::collection::vec(0..80_usize, 0..6),
    ) {
        let history = record(&steps);
        let crash_after = crash_after % history.len();
        let mut documents = Documents::default();
        let mut folded_to = 0;
        for batch in batches(&history, &cuts) {
            if folded_to + batch.events().len() > crash_after {
                documents.crash(&batch, crash);
                break;
            }
            documents.fold(&batch);
            folded_to += batch.events().len();
        }
        for batch in batches(&history[folded_to..], &cuts_after) {
            documents.fold(&batch);
        }
        prop_assert_eq!(documents, folded(&history));
    }

    #[test]
    fn a_prefix_applied_twice_changes_nothing(steps in steps(80), prefix in 1..80_usize) {
        let history = record(&steps);
        let mut documents = folded(&history);
        let once = documents.clone();
        let facts = documents.fold(&batch(&history[..prefix.min(history.len())]));
        prop_assert!(facts.is_empty() || documents.tracked.len() < id_count(&history));
        prop_assert_eq!(documents, once);
    }

    #[test]
    fn what_is_remembered_decides_as_the_whole_fold_does(
        steps in steps(80),
        cuts in prop::collection::vec(0..80_usize, 0..30),
    ) {
        let history = record(&steps);
        let mut documents = Documents::default();
        let mut facts = Vec::new();
        for batch in batches(&history, &cuts) {
            facts.extend(documents.fold(&batch).into_iter().map(|fact| fact.sequence));
        }
        let legal: Vec<u64> = (1..=history.len())
            .filter(|end| is_legal_fact(&history[..*end]))
            .map(|end| end as u64)
            .collect();
        prop_assert_eq!(facts, legal);
        for (id, fold) in replay(&history) {
            let state = documents.tracked.get(&id).map(|tracked| tracked.state);
            prop_assert_eq!(state, fold.submission.map(|submission| submission.state));
        }
    }
}

fn id_count(history: &[events::Recorded]) -> usize {
    history.iter().map(|it| it.envelope.submission).collect::<std::collections::BTreeSet<_>>().len()
}

/// Asks the ledger's own fold whether the last event of a history is legal, and whether its kind
/// concerns progress.
fn is_legal_fact(history: &[events::Recorded]) -> bool {
    let (last, before) = history.split_last().unwrap();
    let id = last.envelope.submission;
    let violations = |history: &[events::Recorded]| {
        if history.is_empty() { 0 } else { replay(history).get(&id).map_or(0, |it| it.violations) }
    };
    let concerns = !matches!(
        last.envelope.event,
        events::Event::Compiled(_) | events::Event::Judged(_) | events::Event::Lost(_)
    );
    concerns && violations(before) == violations(history)
}

/// The progress of the user of submission 0 (and 3).
fn progress_after(steps: &[Step]) -> UserProgress {
    folded(&record(steps)).views.progress.remove(&"u0".parse().unwrap()).unwrap()
}

fn salted(submission: u8, kind: Kind, salt: u8, hours: u8) -> Step {
    Step { salt, hours, ..step(submission, kind) }
}

/// A submission with suite 1 that ends with the first verdict, `accepted`.
fn solution(submission: u8, hours: u8) -> [Step; 3] {
    [
        salted(submission, Kind::Accept, 1, hours),
        step(submission, Kind::Start),
        step(submission, Kind::Complete),
    ]
}

#[test]
fn a_solved_suite_counts_once_however_often_it_is_solved() {
    let progress = progress_after(&[solution(0, 0), solution(3, 0)].concat());
    assert_eq!(progress.solved.suites, 1);
    assert_eq!(progress.solved.submissions, 2);
    assert_eq!(progress.verdicts.submit.accepted, 2);
}

#[test]
fn a_run_that_ended_well_is_no_solution_but_an_active_day() {
    let finished = 7;
    let steps = [
        salted(0, Kind::Accept, 0, 0),
        step(0, Kind::Start),
        salted(0, Kind::Complete, finished, 0),
    ];
    let progress = progress_after(&steps);
    assert_eq!(progress.verdicts.run.finished, 1);
    assert_eq!(progress.solved.submissions, 0);
    assert_eq!(progress.streak.unwrap().current, 1);
}

#[test]
fn consecutive_days_make_a_streak_and_a_missed_day_ends_it() {
    let steps = [solution(0, 0), solution(3, 24), solution(6, 24), solution(9, 72)].concat();
    let streak = progress_after(&steps).streak.unwrap();
    assert_eq!((streak.current, streak.longest), (1, 3));
    assert_eq!(streak.last_active_day, NaiveDate::from_ymd_opt(2096, 10, 7).unwrap());
}

#[test]
fn an_illegal_verdict_does_not_count() {
    let steps = [step(0, Kind::Accept), step(0, Kind::Complete)];
    let progress = progress_after(&steps);
    assert_eq!(progress.verdicts, ByLane::default());
    assert_eq!(progress.recent[0].state, State::Accepted);
}

#[test]
fn an_outcome_before_its_acceptance_does_not_count() {
    let steps = [step(0, Kind::Start), step(0, Kind::Accept)];
    assert_eq!(progress_after(&steps).recent[0].state, State::Accepted);
}

#[test]
fn a_cancelled_submission_counts_as_cancelled_and_shows_it() {
    let steps = [Kind::Accept, Kind::RequestCancellation, Kind::Cancel].map(|kind| step(0, kind));
    let progress = progress_after(&steps);
    assert_eq!((progress.cancelled, progress.failed), (1, 0));
    assert_eq!(progress.recent[0].state, State::Cancelled);
    assert!(progress.recent[0].finished_at.is_some());
}

#[test]
fn only_the_latest_submissions_are_kept_newest_first() {
    let numbers = (0..=RECENT_MAX).map(|number| u8::try_from(number).unwrap() * 3);
    let steps: Vec<Step> = numbers.map(|number| step(number, Kind::Accept)).collect();
    let recent = progress_after(&steps).recent;
    assert_eq!(recent.len(), RECENT_MAX);
    assert_eq!(recent[0].submission, id(150));
    assert_eq!(recent[RECENT_MAX - 1].submission, id(3));
}

#[test]
fn a_fact_that_is_folded_already_changes_nothing() {
    let key = ProgressKey { generation: 1, principal: "u0".parse().unwrap() };
    let history = record(&[step(0, Kind::Accept)]);
    let fact = derive(1, &BTreeMap::new(), &batch(&history)).facts.remove(0);
    assert_eq!(fact.change, Change::Accepted);
    let mut progress = UserProgress::none(key);
    fold_into_user(&mut progress, &fact, false);
    let once = progress.clone();
    fold_into_user(&mut progress, &fact, false);
    assert_eq!(progress, once);
}
