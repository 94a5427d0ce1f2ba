//! `submission.accepted`: everything that decides what will run.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::content::{Content, ObjectRef};
use crate::digest::Digest;
use crate::limits::Limits;
use crate::names::{FileName, LanguageSlug, PoolName, UserId};
use crate::subject::Lane;

/// A submission as it was accepted, with every default resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Who submitted it.
    pub principal: UserId,
    /// Run or submit.
    pub lane: Lane,
    /// The pool of executors whose image has the language.
    pub pool: PoolName,
    /// The language and its version.
    pub language: LanguageRef,
    /// The files; the first is the entry.
    pub files: Vec<SourceFile>,
    /// Standard input of a run without cases.
    pub stdin: Content,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Further options of the compiler.
    pub compiler_options: Vec<String>,
    /// The limits of each run.
    pub limits: Limits,
    /// The cases to judge by; absent in lane `run`.
    pub suite: Option<Suite>,
    /// How outputs are compared.
    pub checker: Checker,
    /// Whether cases after the first wrong one are left out.
    pub stop_on_first_failure: bool,
    /// The hash of the request as it came, to tell a retry from another request under the same idempotency key.
    pub request_hash: Digest,
    /// The API that it came through.
    pub origin: Origin,
}

/// A language at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageRef {
    /// The stable short name.
    pub slug: LanguageSlug,
    /// The version of its compiler or interpreter.
    pub version: String,
}

/// One file of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its path below the box.
    pub name: FileName,
    /// Its bytes.
    pub content: Content,
}

/// The cases of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum Suite {
    /// In the event itself.
    Inline {
        /// The cases, in order.
        cases: Vec<Case>,
        /// The hash of their JSON array: what makes two submissions answers to the same question.
        sha256: Digest,
    },
    /// A JSON array of [`Case`] in the bucket `TESTS`, whose name is its hash.
    Object {
        /// Where it lies.
        object: ObjectRef,
        /// How many cases it has.
        count: u32,
    },
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

/// One case: an input, and the output it must give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Standard input.
    pub stdin: Content,
    /// The right output.
    pub expected: Content,
    /// What it is worth.
    pub points: u32,
    /// What its author calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How an output is compared with the expected one.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames,
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum Checker {
    /// Line by line, white space at the ends of lines and of the output does not count.
    #[default]
    Lines,
    /// Byte by byte.
    Exact,
    /// Word by word, white space only separates.
    Tokens,
    /// Word by word, numbers within a tolerance.
    Floats {
        /// The tolerance, absolute or relative, as decimal text: `1e-6`. Text, so that events compare bit by bit.
        tolerance: String,
    },
}

/// The API that a submission came through.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Origin {
    /// `/v1`.
    Native,
    /// `/judge0`.
    Judge0,
    /// `/api/v2`.
    Piston,
}
