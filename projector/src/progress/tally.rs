//! Counters: by lane, and by verdict. One field each, so that a new lane or verdict does not compile until it is counted.

use events::{Lane, Verdict};
use serde::{Deserialize, Serialize};

/// One value for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByLane<T> {
    /// Lane `run`.
    pub run: T,
    /// Lane `submit`.
    pub submit: T,
}

impl<T> ByLane<T> {
    /// Returns the value of `lane`.
    pub fn of(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Run => &mut self.run,
            Lane::Submit => &mut self.submit,
        }
    }
}

/// How often each verdict was given. One that never was is absent from the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the verdicts, which say what they mean")]
pub struct Verdicts {
    #[serde(skip_serializing_if = "is_zero")]
    pub accepted: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub wrong_answer: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub compile_error: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub runtime_error: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub time_limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub output_limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub finished: u64,
}

impl Verdicts {
    /// Returns the counter of `verdict`.
    pub fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Accepted => &mut self.accepted,
            Verdict::WrongAnswer => &mut self.wrong_answer,
            Verdict::CompileError => &mut self.compile_error,
            Verdict::RuntimeError => &mut self.runtime_error,
            Verdict::TimeLimit => &mut self.time_limit,
            Verdict::MemoryLimit => &mut self.memory_limit,
            Verdict::OutputLimit => &mut self.output_limit,
            Verdict::Finished => &mut self.finished,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
