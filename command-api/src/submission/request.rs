//! A submission that breaks no rule, and the hash that tells a retry from another request under the same key.

use events::event::{Checker, LanguageRef};
use events::limits::LimitRequest;
use events::{Digest, FileName, Lane, Limits, PoolName};
use serde::Serialize;

/// A valid submission, with its content decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidSubmission {
    /// The language and its version.
    pub language: LanguageRef,
    /// The pool of executors that have the language.
    pub pool: PoolName,
    /// The files; the first is the entry.
    pub files: Vec<ValidFile>,
    /// Standard input of a run without cases.
    pub stdin: Vec<u8>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Further options of the compiler.
    pub compiler_options: Vec<String>,
    /// The limits that were asked for.
    pub limits_asked: LimitRequest,
    /// The limits, resolved.
    pub limits: Limits,
    /// The cases; none in lane `run`.
    pub cases: Vec<ValidCase>,
    /// How outputs are compared.
    pub checker: Checker,
    /// Whether cases after the first wrong one are left out.
    pub stop_on_first_failure: bool,
}

/// A file with a good name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidFile {
    /// Its path below the box.
    pub name: FileName,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A case within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidCase {
    /// Standard input.
    pub stdin: Vec<u8>,
    /// The right output.
    pub expected: Vec<u8>,
    /// What it is worth.
    pub points: u32,
    /// What its author calls it.
    pub name: Option<String>,
}

impl ValidSubmission {
    /// Returns the lane: whoever brings cases wants to be judged.
    pub fn lane(&self) -> Lane {
        if self.cases.is_empty() { Lane::Run } else { Lane::Submit }
    }

    /// Hashes what was asked for, whatever the order of members, the white space, the encoding of content and the alias of
    /// the language. What was not asked for is left out, so that a retry is one even after an operator changed a default.
    pub fn request_hash(&self) -> Digest {
        let canonical = Canonical::from(self);
        let json = serde_json::to_vec(&canonical)
            .expect("a canonical request has no map with other keys than texts");
        Digest::of(&json)
    }
}

/// The form that is hashed. Its members and their order MUST NOT change while idempotency keys of old requests matter.
#[derive(Serialize)]
struct Canonical<'a> {
    form: u8,
    language: &'a str,
    files: Vec<(&'a str, Digest)>,
    stdin: Digest,
    args: &'a [String],
    compiler_options: &'a [String],
    limits: [Option<u32>; 7],
    cases: Vec<(Digest, Digest, u32, Option<&'a str>)>,
    checker: &'a Checker,
    stop_on_first_failure: bool,
}

impl<'a> From<&'a ValidSubmission> for Canonical<'a> {
    fn from(request: &'a ValidSubmission) -> Self {
        let asked = &request.limits_asked;
        let case = |case: &'a ValidCase| {
            let (stdin, expected) = (Digest::of(&case.stdin), Digest::of(&case.expected));
            (stdin, expected, case.points, case.name.as_deref())
        };
        Self {
            form: 1,
            language: request.language.slug.as_str(),
            files: request
                .files
                .iter()
                .map(|file| (file.name.as_str(), Digest::of(&file.content)))
                .collect(),
            stdin: Digest::of(&request.stdin),
            args: &request.args,
            compiler_options: &request.compiler_options,
            limits: [
                asked.cpu_time_ms,
                asked.wall_time_ms,
                asked.memory_kib,
                asked.stack_kib,
                asked.output_bytes,
                asked.file_size_kib,
                asked.processes,
            ],
            cases: request.cases.iter().map(case).collect(),
            checker: &request.checker,
            stop_on_first_failure: request.stop_on_first_failure,
        }
    }
}
