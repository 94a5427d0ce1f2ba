//! A submission that breaks no rule, and the hash that tells a retry from another request under the
//! same key.

use events::event::{Case, Checker, LanguageRef, SourceFile};
use events::limits::LimitRequest;
use events::{Content, Digest, EndUser, Lane, Limits, PoolName};
use ledger::LanguageOffer;
use serde::Serialize;

/// A valid submission, with its content decoded and all of it inline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ValidSubmission {
    pub language: LanguageRef,
    pub pool: PoolName,
    /// The first file is the entry.
    pub files: Vec<SourceFile>,
    pub stdin: Content,
    pub args: Vec<String>,
    pub compiler_options: Vec<String>,
    /// The limits as they were asked for, without defaults.
    pub limits_asked: LimitRequest,
    pub limits: Limits,
    /// There are none in lane `run`.
    pub cases: Vec<Case>,
    pub checker: Checker,
    pub stop_on_first_failure: bool,
    pub end_user: Option<EndUser>,
}

impl ValidSubmission {
    /// Returns the lane: a submission with cases is to be judged.
    pub fn lane(&self) -> Lane {
        if self.cases.is_empty() { Lane::Run } else { Lane::Submit }
    }

    /// Returns what an executor must have to run it.
    pub fn needed_language(&self) -> LanguageOffer {
        LanguageOffer::of(&self.language, &self.pool)
    }

    /// Returns how many cases there are.
    pub fn case_count(&self) -> u32 {
        u32::try_from(self.cases.len()).unwrap_or(u32::MAX)
    }

    /// Hashes what was asked for, whatever the order of members, the white space, the encoding of
    /// content and the alias of the language.
    pub fn request_hash(&self) -> Digest {
        // Defaults are not hashed, so that a retry is known as one even after an operator has
        // changed a default.
        let canonical = Canonical::from(self);
        let json = serde_json::to_vec(&canonical)
            .expect("a canonical request has no map with other keys than texts");
        Digest::of(&json)
    }
}

/// The form that is hashed.
// Its members and their order MUST NOT change: a retry of an older request would be refused as
// another request.
#[derive(Serialize)]
struct Canonical<'a> {
    form: u8,
    language: &'a str,
    files: Vec<(&'a str, Digest)>,
    stdin: Digest,
    args: &'a [String],
    compiler_options: &'a [String],
    limits: Vec<Option<u32>>,
    cases: Vec<(Digest, Digest, u32, Option<&'a str>)>,
    checker: &'a Checker,
    stop_on_first_failure: bool,
    // Left out where there is none, so that older requests keep their hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<&'a EndUser>,
}

impl<'a> From<&'a ValidSubmission> for Canonical<'a> {
    fn from(request: &'a ValidSubmission) -> Self {
        let case = |case: &'a Case| {
            (digest(&case.stdin), digest(&case.expected), case.points, case.name.as_deref())
        };
        Self {
            form: 1,
            language: request.language.slug.as_str(),
            files: request
                .files
                .iter()
                .map(|file| (file.name.as_str(), digest(&file.content)))
                .collect(),
            stdin: digest(&request.stdin),
            args: &request.args,
            compiler_options: &request.compiler_options,
            limits: request.limits_asked.into_values(),
            cases: request.cases.iter().map(case).collect(),
            checker: &request.checker,
            stop_on_first_failure: request.stop_on_first_failure,
            end_user: request.end_user.as_ref(),
        }
    }
}

/// Returns the hash of the bytes, whatever form they have in an event.
fn digest(content: &Content) -> Digest {
    content.bytes().map_or_else(|object| object.sha256, Digest::of)
}
