//! `submission.accepted`: everything that decides what will run.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::content::{Content, ObjectRef};
use crate::digest::Digest;
use crate::limits::Limits;
use crate::names::{EndUser, FileName, LanguageSlug, PoolName, UserId};
use crate::subject::{Lane, Priority};

/// A submission as it was accepted, with every default resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Accepted {
    pub principal: UserId,
    /// The person whom the principal, a platform with one key, submits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<EndUser>,
    pub lane: Lane,
    #[serde(default)]
    pub priority: Priority,
    /// The pool of executors whose image has the language.
    pub pool: PoolName,
    pub language: LanguageRef,
    /// The files; the first is the entry.
    pub files: Vec<SourceFile>,
    /// Standard input of a run without cases.
    pub stdin: Content,
    pub args: Vec<String>,
    pub compiler_options: Vec<String>,
    pub limits: Limits,
    /// What compiling and all runs may take together, in milliseconds.
    #[serde(default = "total_time_of_form_1")]
    pub total_time_ms: u32,
    /// The cases to judge by; absent in lane `run`.
    pub suite: Option<Suite>,
    pub checker: Checker,
    /// Whether cases after the first wrong one are left out.
    pub stop_on_first_failure: bool,
    /// The hash of the request as it came.
    // It tells a retry from another request under the same idempotency key.
    pub request_hash: Digest,
    /// The API that it came through.
    pub origin: Origin,
}

/// No submission of form 1 was bounded; this is the default bound of today, in milliseconds.
const fn total_time_of_form_1() -> u32 {
    600_000
}

/// A language at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LanguageRef {
    pub slug: LanguageSlug,
    /// The version of its compiler or interpreter.
    #[serde(deserialize_with = "crate::column_values::text")]
    pub version: String,
}

impl Accepted {
    /// Returns every object that it refers to.
    pub fn objects(&self) -> Vec<&ObjectRef> {
        let suite = match &self.suite {
            Some(Suite::Object { object, count: _ }) => Some(object),
            Some(Suite::Inline { cases: _, sha256: _ }) | None => None,
        };
        self.contents().filter_map(|content| content.bytes().err()).chain(suite).collect()
    }

    /// Returns how many bytes stand in it whose number the client chose.
    pub fn inline_bytes(&self) -> u64 {
        let options = self.args.iter().chain(&self.compiler_options);
        let options: u64 = options.map(|option| option.len() as u64).sum();
        options + self.contents().map(Content::inline_bytes).sum::<u64>()
    }

    fn contents(&self) -> impl Iterator<Item = &Content> {
        let cases = match &self.suite {
            Some(Suite::Inline { cases, sha256: _ }) => cases.as_slice(),
            Some(Suite::Object { object: _, count: _ }) | None => &[][..],
        };
        let of_cases = cases.iter().flat_map(|case| [&case.stdin, &case.expected]);
        self.files.iter().map(|file| &file.content).chain([&self.stdin]).chain(of_cases)
    }
}

/// One file of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct SourceFile {
    pub name: FileName,
    pub content: Content,
}

/// The cases of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum Suite {
    /// In the event itself.
    Inline {
        #[serde(deserialize_with = "inline_cases")]
        cases: Vec<Case>,
        /// The hash of their JSON array. Submissions with the same hash answer the same question.
        sha256: Digest,
    },
    /// A JSON array of [`Case`] in the bucket `TESTS`, whose name is its hash.
    Object {
        object: ObjectRef,
        #[serde(deserialize_with = "case_count")]
        count: u32,
    },
}

// Room for an outcome is set aside by the number of cases. So an event that names more than a
// submission may have is no event, the same for every reader: one such number would close the door.

fn inline_cases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Case>, D::Error> {
    let cases = Vec::<Case>::deserialize(deserializer)?;
    check_count(cases.len()).map(|()| cases)
}

fn case_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = u32::deserialize(deserializer)?;
    check_count(count as usize).map(|()| count)
}

fn check_count<E: Error>(count: usize) -> Result<(), E> {
    if count > CASES_MAX { Err(E::custom("too many cases")) } else { Ok(()) }
}

impl Suite {
    /// Returns how many cases there are.
    pub fn count(&self) -> u32 {
        match self {
            Self::Inline { cases, sha256: _ } => u32::try_from(cases.len()).unwrap_or(u32::MAX),
            Self::Object { count, object: _ } => *count,
        }
    }

    /// Returns the hash of the suite's JSON.
    pub fn sha256(&self) -> Digest {
        match self {
            Self::Inline { sha256, cases: _ } => *sha256,
            Self::Object { object, count: _ } => object.sha256,
        }
    }
}

/// The most cases of a submission. A version that accepts more gives the accepted event another
/// form, since this one takes an event with more for foreign bytes.
pub const CASES_MAX: usize = 256;

/// The most bytes of a case's name.
pub const CASE_NAME_BYTES_MAX: usize = 128;

/// One case: an input, and the output it must give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Case {
    pub stdin: Content,
    /// The expected output.
    pub expected: Content,
    /// What the case is worth.
    pub points: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How an output is compared with the expected one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum Checker {
    /// Line by line; white space at the ends of lines and of the output does not count.
    #[default]
    Lines,
    /// Byte by byte.
    Exact,
    /// Word by word; white space only separates.
    Tokens,
    /// Word by word; numbers may differ within a tolerance.
    Floats {
        /// The tolerance, absolute or relative, as decimal text: `1e-6`.
        // A floating-point number would not always be written as it was read, and the chain of
        // hashes needs the same bytes.
        tolerance: String,
    },
}

/// The API that a submission came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Origin {
    /// `/v1`.
    Native,
    // Nothing writes the next two yet, but both words are reserved: readers of this version take
    // them.
    /// `/judge0`.
    Judge0,
    /// `/api/v2`.
    Piston,
}
