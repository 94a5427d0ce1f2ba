//! Counting cases: the verdict of all, the deciding case, the summary and its hash. Pure.

use events::event::{CaseResult, CasesSummary};
use events::{Digest, Usage, Verdict};

use super::verdict::add_usage;

/// The results of a suite as far as it has run.
#[derive(Clone, Debug)]
pub struct CaseTally {
    total: u32,
    points_max: u64,
    results: Vec<CaseResult>,
    usage: Usage,
    decided: Option<Verdict>,
}

impl CaseTally {
    /// Begins to count a suite of `total` cases that are worth `points_max` in all.
    pub fn new(total: u32, points_max: u64) -> Self {
        Self { total, points_max, results: Vec::new(), usage: Usage::default(), decided: None }
    }

    /// Counts a result, and tells whether its outputs are the ones to show so far.
    ///
    /// The outputs of the first case that is not accepted are the ones to show: they tell why.
    /// Until there is one, those of the last case are.
    pub fn count(&mut self, result: CaseResult) -> bool {
        let shows = self.decided.is_none();
        if result.verdict != Verdict::Accepted {
            self.decided.get_or_insert(result.verdict);
        }
        self.usage = add_usage(self.usage, result.usage);
        self.results.push(result);
        shows
    }

    /// Returns the verdict of all.
    pub fn verdict(&self) -> Verdict {
        self.decided.unwrap_or(Verdict::Accepted)
    }

    /// Tells whether a case was not accepted.
    pub fn has_failed(&self) -> bool {
        self.decided.is_some()
    }

    /// Returns the time of all and the most memory of any.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Returns the summary that stands in the outcome.
    pub fn summary(&self) -> CasesSummary {
        let accepted = || self.results.iter().filter(|result| result.verdict == Verdict::Accepted);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        // The bytes that a client gets by serialising the results of all events, so that anyone can
        // compare.
        let json = serde_json::to_vec(&self.results).expect("results are plain JSON");
        CasesSummary {
            total: self.total,
            run: count(self.results.len()),
            passed: count(accepted().count()),
            points: self.results.iter().map(|result| u64::from(result.points)).sum(),
            points_max: self.points_max,
            results_sha256: Digest::of(&json),
        }
    }
}

#[cfg(test)]
mod tests {
    use events::Exit;

    use super::*;

    fn result(case: u32, verdict: Verdict, points: u32) -> CaseResult {
        CaseResult {
            case,
            name: None,
            verdict,
            exit: Exit::Code(0),
            usage: Usage { cpu_us: 10, wall_us: 20, discounted_us: 5, memory_kib: u64::from(case) },
            output_sha256: Digest::of(b""),
            points,
        }
    }

    #[test]
    fn the_first_failure_decides_and_its_outputs_are_shown() {
        let mut tally = CaseTally::new(4, 40);
        let shown: Vec<bool> = [
            result(0, Verdict::Accepted, 10),
            result(1, Verdict::TimeLimit, 0),
            result(2, Verdict::WrongAnswer, 0),
            result(3, Verdict::Accepted, 10),
        ]
        .into_iter()
        .map(|result| tally.count(result))
        .collect();
        assert_eq!(shown, [true, true, false, false]);
        assert_eq!(tally.verdict(), Verdict::TimeLimit);
        let summary = tally.summary();
        assert_eq!((summary.total, summary.run, summary.passed), (4, 4, 2));
        assert_eq!((summary.points, summary.points_max), (20, 40));
        let all = Usage { cpu_us: 40, wall_us: 80, discounted_us: 20, memory_kib: 3 };
        assert_eq!(tally.usage(), all);
    }

    #[test]
    fn without_a_failure_all_is_accepted_and_the_last_case_shows() {
        let mut tally = CaseTally::new(2, 2);
        assert!(tally.count(result(0, Verdict::Accepted, 1)));
        assert!(tally.count(result(1, Verdict::Accepted, 1)));
        assert_eq!((tally.verdict(), tally.has_failed()), (Verdict::Accepted, false));
    }

    #[test]
    fn anyone_can_recompute_the_hash_from_the_results() {
        let results = [result(0, Verdict::Accepted, 1), result(1, Verdict::WrongAnswer, 0)];
        let mut tally = CaseTally::new(2, 2);
        for result in results.clone() {
            tally.count(result);
        }
        let array = serde_json::to_vec(&results).unwrap();
        assert_eq!(tally.summary().results_sha256, Digest::of(&array));
    }
}
