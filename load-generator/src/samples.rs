//! Submissions as large as those of the golden files: small programs, every second one judged by
//! two cases.

use anyhow::Result;
use events::content::Captured;
use events::event::{
    Accepted, Case, CaseResult, CasesSummary, Checker, Completed, Isolation, LanguageRef, Origin,
    SourceFile, Started, Suite, Timings,
};
use events::{
    BootId, Content, Digest, Event, Exit, Lane, Limits, Priority, Usage, UserId, Verdict,
};

/// How many suites the submissions are judged by in turn.
const SUITES: u64 = 100;
/// How many cases a suite has.
const CASES: u32 = 2;
/// A program as a student sends it, of the usual length.
const PROGRAM: &str = "\
import sys


def solve(lines):
    numbers = [int(line) for line in lines if line.strip()]
    return sum(number * number for number in numbers)


print(solve(sys.stdin.readlines()))
";

/// The parts that all submissions have in common.
#[derive(Debug)]
pub(crate) struct Samples {
    principals: Vec<UserId>,
    suites: Vec<Suite>,
    accepted: Accepted,
    started: Started,
}

impl Samples {
    /// Makes the parts: so many users, and the executor's life.
    pub(crate) fn new(principals: u64, boot_id: BootId) -> Result<Self> {
        let principals: Result<Vec<UserId>, _> =
            (0..principals.max(1)).map(|number| format!("student-{number}").parse()).collect();
        let principals = principals?;
        let suites = (0..SUITES).map(suite).collect::<Result<_>>()?;
        let accepted = Accepted {
            principal: principals[0].clone(),
            end_user: None,
            lane: Lane::Run,
            priority: Priority::Normal,
            pool: "core".parse()?,
            language: LanguageRef { slug: "python".parse()?, version: "3.11".to_owned() },
            files: vec![SourceFile {
                name: "main.py".parse()?,
                content: Content::Text(PROGRAM.to_owned()),
            }],
            stdin: Content::default(),
            args: Vec::new(),
            compiler_options: Vec::new(),
            limits: LIMITS,
            total_time_ms: 600_000,
            suite: None,
            checker: Checker::Lines,
            stop_on_first_failure: false,
            request_hash: Digest::of(PROGRAM.as_bytes()),
            origin: Origin::Native,
        };
        let started = Started {
            attempt: 1,
            executor: "generator".parse()?,
            boot_id,
            image: "runledger/core:dev".to_owned(),
            image_digest: format!("sha256:{}", Digest::of(b"image")),
            sandbox_profile: Digest::of(b"profile"),
            isolation: Isolation::SingleUse,
            kernel: "6.1.0-30-amd64".to_owned(),
            cpu_model: "a processor with a name of the usual length".to_owned(),
            language_version: Some("3.11".to_owned()),
        };
        Ok(Self { principals, suites, accepted, started })
    }

    /// Returns the acceptance of a submission.
    pub(crate) fn accepted(&self, number: u64) -> Result<Accepted> {
        let accepted = Accepted {
            principal: in_turn(&self.principals, number)?.clone(),
            ..self.accepted.clone()
        };
        if !is_judged(number) {
            return Ok(accepted);
        }
        let suite = Some(in_turn(&self.suites, number)?.clone());
        Ok(Accepted { lane: Lane::Submit, suite, ..accepted })
    }

    /// Returns the start of its attempt.
    pub(crate) fn started(&self) -> Event {
        Event::Started(self.started.clone())
    }

    /// Returns its verdict.
    pub(crate) fn completed(&self, number: u64) -> Event {
        let results: Vec<CaseResult> =
            if is_judged(number) { (0..CASES).map(result).collect() } else { Vec::new() };
        let cases = is_judged(number).then(|| CasesSummary {
            total: CASES,
            run: CASES,
            passed: CASES,
            points: CASES.into(),
            points_max: CASES.into(),
            results_sha256: Digest::of(b"results"),
        });
        Event::Completed(Box::new(Completed {
            attempt: 1,
            verdict: if is_judged(number) { Verdict::Accepted } else { Verdict::Finished },
            exit: Some(Exit::Code(0)),
            stopped_by: None,
            usage: USAGE,
            stdout: Captured {
                content: Content::Text(format!("{number}\n")),
                bytes_total: 8,
                truncated: false,
            },
            stderr: Captured::default(),
            results,
            cases,
            timings: Timings { cell_us: 200, prepare_us: 900, run_us: 10_500 },
        }))
    }
}

const LIMITS: Limits = Limits {
    cpu_time_ms: 5_000,
    wall_time_ms: 10_000,
    memory_kib: 262_144,
    stack_kib: 64_000,
    output_bytes: 1_048_576,
    file_size_kib: 4_096,
    processes: 60,
};

const USAGE: Usage =
    Usage { cpu_us: 9_000, wall_us: 10_000, discounted_us: 500, memory_kib: 9_000 };

fn is_judged(number: u64) -> bool {
    number.is_multiple_of(2)
}

fn in_turn<T>(parts: &[T], number: u64) -> Result<&T> {
    // Halved, so that judged submissions, every second one, have every part in turn, too.
    Ok(&parts[usize::try_from(number / 2)? % parts.len()])
}

fn suite(number: u64) -> Result<Suite> {
    let case = |case: u32| Case {
        stdin: Content::Text(format!("{number}\n{case}\n")),
        expected: Content::Text(format!("{}\n", number * number + u64::from(case * case))),
        points: 1,
        name: Some(format!("case {case}")),
    };
    let cases: Vec<Case> = (0..CASES).map(case).collect();
    let sha256 = Digest::of(&serde_json::to_vec(&cases)?);
    Ok(Suite::Inline { cases, sha256 })
}

fn result(case: u32) -> CaseResult {
    CaseResult {
        case,
        name: Some(format!("case {case}")),
        verdict: Verdict::Accepted,
        exit: Exit::Code(0),
        usage: USAGE,
        output_sha256: Digest::of(PROGRAM.as_bytes()),
        points: 1,
    }
}

#[cfg(test)]
mod tests {
    use events::Timestamp;
    use events::envelope::{Envelope, Recorded, Writer};
    use events::submission::apply;
    use events::{Fold, State, SubmissionId};

    use super::*;

    #[test]
    fn every_submission_is_a_legal_one_that_ends() {
        let boot: BootId = "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".parse().unwrap();
        let samples = Samples::new(3, boot).unwrap();
        for number in 0..4 {
            let events = [
                Event::Accepted(Box::new(samples.accepted(number).unwrap())),
                samples.started(),
                samples.completed(number),
            ];
            let fold = folded(boot, events);
            let submission = fold.submission.unwrap();
            assert_eq!((submission.state, fold.violations), (State::Completed, 0));
            assert_eq!(submission.results.len(), if number % 2 == 0 { 2 } else { 0 });
            assert_eq!(submission.principal.as_str(), format!("student-{}", number / 2));
        }
    }

    fn folded(instance: BootId, events: [Event; 3]) -> Fold {
        let id = SubmissionId::new(instance.as_uuid());
        let writer =
            Writer { source: String::new(), actor: String::new(), instance, traceparent: None };
        let mut fold = Fold::default();
        for (sequence, event) in (1..).zip(events) {
            let at = Timestamp::UNIX_EPOCH;
            let (_, bytes) = Envelope::write(id, event, &writer, None, at);
            let recorded = Recorded::decode(sequence, at, &bytes).unwrap();
            fold = apply(fold, &recorded);
        }
        fold
    }
}
