//! The form of the body of `POST /v1/submissions`: its members and their types, and no other
//! member. Whether the values make sense is the business of [`rules`](super::rules).

mod checker;
mod whole;
mod words;

use events::limits::LimitSet;
use platform::json::Object;
use serde::Deserialize;

pub(crate) use self::checker::DraftChecker;
pub(crate) use self::whole::WholeNumber;
pub(crate) use self::words::Words;

/// A submission whose members have the right types. An optional member may be `null`, which is the
/// same as leaving it out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub(crate) language: String,
    pub(crate) source: Option<String>,
    pub(crate) files: Option<Vec<Object<DraftFile>>>,
    pub(crate) stdin: Option<String>,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) compiler_options: Option<Words>,
    pub(crate) limits: Option<Object<DraftLimits>>,
    pub(crate) cases: Option<Vec<Object<DraftCase>>>,
    pub(crate) checker: Option<DraftChecker>,
    pub(crate) stop_on_first_failure: Option<bool>,
    pub(crate) encoding: Option<String>,
    pub(crate) end_user: Option<String>,
}

/// One element of `files`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftFile {
    pub(crate) name: String,
    pub(crate) content: String,
}

/// One element of `cases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftCase {
    pub(crate) stdin: Option<String>,
    pub(crate) expected: String,
    pub(crate) points: Option<WholeNumber>,
    pub(crate) name: Option<String>,
}

/// The member `limits`.
pub(crate) type DraftLimits = LimitSet<Option<WholeNumber>>;
