//! When results are recorded before the end: in groups of 16 cases or of half a second, and never
//! in so many groups that a submission runs out of the messages that the stream keeps of it. Of
//! late attempts only the verdict is recorded. Pure: time is an argument.

use std::time::Duration;

use events::event::CaseResult;
use tokio::time::Instant;

/// Results in a group, unless there are very many cases. Each group costs a write that is synced.
const GROUP_CASES: usize = 16;
/// Groups that are full at most: a suite with more cases gets larger ones.
const FULL_GROUPS_MAX: usize = 16;
/// Attempts whose results are recorded before the end. A submission that was handed back many times
/// needs its messages for the attempts to come.
const ATTEMPTS_TOLD: u32 = 4;
/// How long results are kept back at first: about as long as a person waits without doubt.
const GROUP_TIME: Duration = Duration::from_millis(500);
/// After so many groups the time doubles: a run of hours must not use more messages than one of
/// minutes.
const GROUPS_PER_TIME: u32 = 4;

/// Results that wait to be recorded.
#[derive(Debug)]
pub struct Grouping {
    group: Vec<CaseResult>,
    /// None if all results go with the verdict.
    size: Option<usize>,
    told: u32,
    since: Option<Instant>,
}

impl Grouping {
    /// Makes an empty group for a suite of so many cases, in this attempt.
    pub fn new(cases: usize, attempt: u32) -> Self {
        let size = GROUP_CASES.max(cases.div_ceil(FULL_GROUPS_MAX));
        let size = (attempt <= ATTEMPTS_TOLD).then_some(size);
        Self { group: Vec::new(), size, told: 0, since: None }
    }

    /// Adds a result. Returns the group when it is full and more results are to come.
    pub fn push(
        &mut self,
        result: CaseResult,
        more_to_come: bool,
        now: Instant,
    ) -> Option<Vec<CaseResult>> {
        self.since.get_or_insert(now);
        self.group.push(result);
        // The last results go with the verdict, which saves a short submission a write.
        let is_full = self.size.is_some_and(|size| self.group.len() >= size);
        (more_to_come && is_full).then(|| self.take_group())
    }

    /// Returns when the group must be recorded, full or not.
    pub fn due_at(&self) -> Option<Instant> {
        self.size?;
        Some(self.since? + GROUP_TIME * 2_u32.saturating_pow(self.told / GROUPS_PER_TIME))
    }

    /// Returns the group because its time has come.
    pub fn take_group(&mut self) -> Vec<CaseResult> {
        self.told += 1;
        self.since = None;
        std::mem::take(&mut self.group)
    }

    /// Returns what is left to go with the verdict.
    pub fn into_rest(self) -> Vec<CaseResult> {
        self.group
    }
}

#[cfg(test)]
mod tests {
    use events::room::RESULT_EVENTS_MAX;
    use events::{Digest, Exit, Usage, Verdict};
    use proptest::prelude::*;

    use super::*;

    fn result(case: u32) -> CaseResult {
        CaseResult {
            case,
            name: None,
            verdict: Verdict::Accepted,
            exit: Exit::Code(0),
            usage: Usage::default(),
            output_sha256: Digest::of(b""),
            points: 1,
        }
    }

    /// Plays a suite of cases that take so long each, and returns the sizes of the groups, the rest
    /// last.
    fn play(cases: u32, each: Duration, attempt: u32) -> Vec<usize> {
        let (mut grouping, mut now, mut sizes) =
            (Grouping::new(cases as usize, attempt), Instant::now(), Vec::new());
        for case in 0..cases {
            let arrives = now + each;
            if let Some(due) = grouping.due_at().filter(|due| *due <= arrives) {
                now = due;
                sizes.push(grouping.take_group().len());
            }
            now = arrives.max(now);
            sizes.extend(
                grouping.push(result(case), case + 1 < cases, now).map(|group| group.len()),
            );
        }
        sizes.push(grouping.into_rest().len());
        sizes
    }

    #[test]
    fn a_short_suite_is_told_with_its_verdict() {
        assert_eq!(play(16, Duration::from_millis(1), 1), [16]);
        assert_eq!(play(1, Duration::from_secs(5), 1), [1]);
        assert_eq!(play(0, Duration::ZERO, 1), [0]);
    }

    #[test]
    fn full_groups_are_told_early_and_the_rest_with_the_verdict() {
        assert_eq!(play(40, Duration::from_millis(1), 4), [16, 16, 8]);
        assert_eq!(play(32, Duration::from_millis(1), 4), [16, 16]);
    }

    #[test]
    fn slow_cases_are_told_after_half_a_second() {
        assert_eq!(play(4, Duration::from_millis(300), 1), [2, 2]);
        assert_eq!(play(3, Duration::from_secs(2), 1), [1, 1, 1]);
    }

    #[test]
    fn late_attempts_tell_everything_with_their_verdict() {
        assert_eq!(play(40, Duration::from_secs(1), ATTEMPTS_TOLD + 1), [40]);
    }

    /// Late attempts that can happen to a submission, and the messages that the stream keeps of it.
    const LATE: u32 = crate::attempt::next_step::ATTEMPTS_EVER - ATTEMPTS_TOLD;
    const MESSAGES: usize = ledger::store::SUBJECT_MESSAGES_MAX as usize;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_suite_runs_out_of_messages(cases in 1_u32..20_000, each_ms in 0_u64..30_000) {
            // An attempt of more than two hours would have been taken away from us.
            let each_ms = each_ms.min(7_200_000 / u64::from(cases));
            let each = Duration::from_millis(each_ms);
            // Started, compiled and lost of each attempt; the wish to cancel and the end of all.
            let [told, late] =
                [1, ATTEMPTS_TOLD + 1].map(|attempt| play(cases, each, attempt).len() + 3);
            let messages = ATTEMPTS_TOLD as usize * told + LATE as usize * late + 2;
            prop_assert!(messages <= MESSAGES, "{messages} messages");
            let results = told - 3;
            prop_assert!(results <= RESULT_EVENTS_MAX as usize, "{results} events with results");
        }

        #[test]
        fn every_result_is_told_once_and_in_order(
            cases in 1_u32..500,
            each_ms in 0_u64..700,
            attempt in 1_u32..8,
        ) {
            let told: usize = play(cases, Duration::from_millis(each_ms), attempt).iter().sum();
            prop_assert_eq!(told, cases as usize);
        }
    }
}
