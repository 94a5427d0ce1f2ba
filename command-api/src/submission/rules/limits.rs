//! The member `limits` against the operator's policy.

use events::limits::{LimitFault, LimitRequest};
use events::{LimitPolicy, Limits};
use platform::json::{Faults, Pointer};

use crate::submission::draft::{DraftLimits, WholeNumber};

/// Resolves the limits and notes each that is out of bounds.
pub(super) fn check(policy: &LimitPolicy, draft: &DraftLimits, faults: &mut Faults) -> Limits {
    let at = Pointer::root().key("limits");
    for (field, asked) in members(draft) {
        if asked.is_some_and(|asked| asked.0 < 0) {
            faults.push(&at.key(field), "must not be negative");
        }
    }
    policy.resolve(&asked(draft)).unwrap_or_else(|out_of_bounds| {
        for LimitFault { field, min, max, asked: _ } in out_of_bounds {
            faults.push(&at.key(field), format!("must be from {min} to {max}"));
        }
        policy.default
    })
}

/// Returns what was asked for; a number too large for any limit stays too large.
pub(super) fn asked(draft: &DraftLimits) -> LimitRequest {
    LimitRequest {
        cpu_time_ms: draft.cpu_time_ms.and_then(bounded),
        wall_time_ms: draft.wall_time_ms.and_then(bounded),
        memory_kib: draft.memory_kib.and_then(bounded),
        stack_kib: draft.stack_kib.and_then(bounded),
        output_bytes: draft.output_bytes.and_then(bounded),
        file_size_kib: draft.file_size_kib.and_then(bounded),
        processes: draft.processes.and_then(bounded),
    }
}

/// Negative numbers are faults of their own, which [`check`] notes.
fn bounded(number: WholeNumber) -> Option<u32> {
    (number.0 >= 0).then(|| u32::try_from(number.0).unwrap_or(u32::MAX))
}

fn members(draft: &DraftLimits) -> [(&'static str, Option<WholeNumber>); 7] {
    [
        ("cpu_time_ms", draft.cpu_time_ms),
        ("wall_time_ms", draft.wall_time_ms),
        ("memory_kib", draft.memory_kib),
        ("stack_kib", draft.stack_kib),
        ("output_bytes", draft.output_bytes),
        ("file_size_kib", draft.file_size_kib),
        ("processes", draft.processes),
    ]
}
