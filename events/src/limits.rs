//! Limits of one run: what a client may ask for, the defaults, and the operator's bounds.

use serde::{Deserialize, Serialize};

/// The limits of a run, resolved: every value is set and within the policy that accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processor time of all processes together, in milliseconds.
    pub cpu_time_ms: u32,
    /// Time from start to end, in milliseconds.
    pub wall_time_ms: u32,
    /// Memory of all processes and of the files they write, in KiB.
    pub memory_kib: u32,
    /// Stack of each process, in KiB.
    pub stack_kib: u32,
    /// What may be written to standard output, and as much again to standard error, in bytes.
    pub output_bytes: u32,
    /// The largest file that a program may write, in KiB.
    pub file_size_kib: u32,
    /// Processes and threads at once.
    pub processes: u32,
}

/// The limits that a client asks for; what is absent takes the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitRequest {
    /// See [`Limits::cpu_time_ms`].
    pub cpu_time_ms: Option<u32>,
    /// See [`Limits::wall_time_ms`].
    pub wall_time_ms: Option<u32>,
    /// See [`Limits::memory_kib`].
    pub memory_kib: Option<u32>,
    /// See [`Limits::stack_kib`].
    pub stack_kib: Option<u32>,
    /// See [`Limits::output_bytes`].
    pub output_bytes: Option<u32>,
    /// See [`Limits::file_size_kib`].
    pub file_size_kib: Option<u32>,
    /// See [`Limits::processes`].
    pub processes: Option<u32>,
}

/// The operator's defaults and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitPolicy {
    /// What a submission gets that does not ask.
    pub default: Limits,
    /// The least that may be asked for.
    pub min: Limits,
    /// The most that may be asked for.
    pub max: Limits,
}

/// A limit outside the policy.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be from {min} to {max}, not {asked}")]
pub struct LimitFault {
    /// The limit's name, as `cpu_time_ms`.
    pub field: &'static str,
    /// What was asked for.
    pub asked: u32,
    /// The least allowed.
    pub min: u32,
    /// The most allowed.
    pub max: u32,
}

impl Default for LimitPolicy {
    /// Judge0's limits (reference/judge0.md §2.5) where it has one, with twice its memory: it counts in kB what
    /// most of its users set higher.
    fn default() -> Self {
        Self {
            default: Limits {
                cpu_time_ms: 5_000,
                wall_time_ms: 10_000,
                memory_kib: 256 * 1024,
                stack_kib: 64_000,
                output_bytes: 1024 * 1024,
                file_size_kib: 4_096,
                processes: 60,
            },
            min: Limits {
                cpu_time_ms: 10,
                wall_time_ms: 10,
                // Below this neither Node nor a C++ compiler can start, and a refusal is kinder than an odd verdict.
                memory_kib: 16 * 1024,
                stack_kib: 64,
                output_bytes: 1,
                file_size_kib: 0,
                processes: 1,
            },
            max: Limits {
                cpu_time_ms: 15_000,
                wall_time_ms: 30_000,
                memory_kib: 1024 * 1024,
                stack_kib: 512 * 1024,
                output_bytes: 4 * 1024 * 1024,
                file_size_kib: 64 * 1024,
                processes: 120,
            },
        }
    }
}

impl LimitPolicy {
    /// Fills in what was not asked for, and reports every value out of bounds at once.
    pub fn resolve(&self, asked: &LimitRequest) -> Result<Limits, Vec<LimitFault>> {
        let mut faults = Vec::new();
        macro_rules! bounded {
            ($field:ident) => {{
                let (min, max) = (self.min.$field, self.max.$field);
                let value = asked.$field.unwrap_or(self.default.$field);
                if asked.$field.is_some() && !(min..=max).contains(&value) {
                    faults.push(LimitFault { field: stringify!($field), asked: value, min, max });
                }
                value
            }};
        }
        let limits = Limits {
            cpu_time_ms: bounded!(cpu_time_ms),
            wall_time_ms: bounded!(wall_time_ms),
            memory_kib: bounded!(memory_kib),
            stack_kib: bounded!(stack_kib),
            output_bytes: bounded!(output_bytes),
            file_size_kib: bounded!(file_size_kib),
            processes: bounded!(processes),
        };
        if faults.is_empty() { Ok(limits) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_takes_the_default() {
        let policy = LimitPolicy::default();
        let asked = LimitRequest { cpu_time_ms: Some(100), ..LimitRequest::default() };
        let expected = Limits { cpu_time_ms: 100, ..policy.default };
        assert_eq!(policy.resolve(&asked), Ok(expected));
    }

    #[test]
    fn every_value_out_of_bounds_is_reported_at_once() {
        let policy = LimitPolicy::default();
        let asked = LimitRequest {
            memory_kib: Some(u32::MAX),
            processes: Some(0),
            ..LimitRequest::default()
        };
        let fields: Vec<_> =
            policy.resolve(&asked).unwrap_err().iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["memory_kib", "processes"]);
    }

    #[test]
    fn the_bounds_themselves_are_allowed() {
        let policy = LimitPolicy::default();
        for bound in [policy.min, policy.max] {
            let asked = LimitRequest {
                cpu_time_ms: Some(bound.cpu_time_ms),
                wall_time_ms: Some(bound.wall_time_ms),
                memory_kib: Some(bound.memory_kib),
                stack_kib: Some(bound.stack_kib),
                output_bytes: Some(bound.output_bytes),
                file_size_kib: Some(bound.file_size_kib),
                processes: Some(bound.processes),
            };
            assert_eq!(policy.resolve(&asked), Ok(bound));
        }
    }
}
