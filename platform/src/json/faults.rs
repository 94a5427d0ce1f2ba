//! What is wrong with a body: of one that is malformed the first fault, of one that breaks rules
//! all faults at once.

use super::JsonPointer;
use crate::problem::{FieldFault, Problem, Slug};

/// Returns the 400 for a body that cannot be read. It names the first fault only, since what stands
/// after a fault is not read any more.
pub(super) fn malformed(at: &JsonPointer, detail: impl Into<String>) -> Problem {
    let fault = FieldFault { pointer: at.to_string(), detail: detail.into() };
    Problem::new(Slug::Malformed, "the body is malformed; see `errors`").with_errors(vec![fault])
}

/// The largest number of faults that one answer lists.
pub const FAULTS_MAX: usize = 100;

/// The rules that a body breaks, in the order in which they were checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    list: Vec<FieldFault>,
    unlisted: usize,
}

impl Faults {
    /// Adds a fault; past [`FAULTS_MAX`] it is only counted.
    pub fn push(&mut self, at: &JsonPointer, detail: impl Into<String>) {
        // A body of 1 MiB can break a rule in 100,000 places, and the answer has to stay small.
        if self.list.len() < FAULTS_MAX {
            self.list.push(FieldFault { pointer: at.to_string(), detail: detail.into() });
        } else {
            self.unlisted += 1;
        }
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the faults; a last one tells how many are not listed.
    pub fn into_list(mut self) -> Vec<FieldFault> {
        if self.unlisted > 0 {
            let detail = format!("{} more faults are not listed", self.unlisted);
            self.list.push(FieldFault { pointer: String::new(), detail });
        }
        self.list
    }
}

/// 422: well formed, and against the rules.
impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        Self::new(Slug::Invalid, "the request is well formed but breaks the rules listed in errors")
            .with_errors(faults.into_list())
    }
}
