//! The member `limits` against the operator's policy.

use events::limits::{LimitFault, LimitRequest};
use events::{LimitPolicy, Limits};
use platform::json::{Faults, JsonPointer};

use crate::submission::draft::DraftLimits;

/// Resolves the limits and notes each that is out of bounds.
pub(super) fn resolve_limits(
    policy: &LimitPolicy,
    asked: DraftLimits,
    faults: &mut Faults,
) -> Limits {
    let at = JsonPointer::root().key("limits");
    asked.map(|field, asked| {
        if asked.is_some_and(|asked| asked.0 < 0) {
            faults.push(&at.key(field), "must not be negative");
        }
    });
    policy.resolve(&requested_limits(asked)).unwrap_or_else(|out_of_bounds| {
        for LimitFault { field, min, max, asked: _ } in out_of_bounds {
            faults.push(&at.key(field), format!("must be from {min} to {max}"));
        }
        policy.default
    })
}

/// Returns what was asked for. A number that is too large for any limit stays too large; one that
/// is negative is left out, since [`resolve_limits`] tells it as a fault of its own.
pub(super) fn requested_limits(asked: DraftLimits) -> LimitRequest {
    asked.map(|_, asked| {
        let asked = asked.filter(|asked| asked.0 >= 0)?;
        Some(u32::try_from(asked.0).unwrap_or(u32::MAX))
    })
}
