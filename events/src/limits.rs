//! Limits of one run: what a client may ask for, the defaults, and the operator's bounds.

use serde::{Deserialize, Serialize};

/// Lists the limits, once. Every type with one value for each limit is made from this list.
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// One value for each limit: a number, or a number that a client may leave out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct LimitSet<T> {
            $($(#[doc = $doc])* pub $name: T,)*
        }

        impl<T> LimitSet<T> {
            /// Makes a set of other values, each from a limit's name and its value here.
            pub fn map<U>(self, mut make: impl FnMut(&'static str, T) -> U) -> LimitSet<U> {
                LimitSet { $($name: make(stringify!($name), self.$name),)* }
            }

            /// Pairs each value with that of another set.
            pub fn zip<U>(self, other: LimitSet<U>) -> LimitSet<(T, U)> {
                LimitSet { $($name: (self.$name, other.$name),)* }
            }

            /// Returns the values in the order of the list.
            pub fn into_values(self) -> Vec<T> {
                vec![$(self.$name,)*]
            }
        }

        impl<T> Default for LimitSet<Option<T>> {
            fn default() -> Self {
                Self { $($name: None,)* }
            }
        }
    };
}

limits! {
    /// Processor time of all processes together, in milliseconds.
    cpu_time_ms,
    /// Time from start to end, in milliseconds.
    wall_time_ms,
    /// Memory of all processes and of the files they write, in KiB.
    memory_kib,
    /// Stack of each process, in KiB.
    stack_kib,
    /// What may be written to standard output, and as much again to standard error, in bytes.
    output_bytes,
    /// The largest file that a program may write, in KiB.
    file_size_kib,
    /// Processes and threads at once.
    processes,
}

/// The limits of a run, resolved: every value is set and within the policy that accepted it.
pub type Limits = LimitSet<u32>;

/// The limits that a client asks for; what is absent takes the default.
pub type LimitRequest = LimitSet<Option<u32>>;

/// The operator's defaults and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LimitPolicy {
    /// The limits of a submission that asks for none.
    pub default: Limits,
    pub min: Limits,
    pub max: Limits,
}

/// A limit outside the policy.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be from {min} to {max}, not {asked}")]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct LimitFault {
    /// The limit's name, as `cpu_time_ms`.
    pub field: &'static str,
    pub asked: u32,
    pub min: u32,
    pub max: u32,
}

impl LimitPolicy {
    /// Fills in what was not asked for, and reports every value out of bounds at once.
    pub fn resolve(&self, asked: &LimitRequest) -> Result<Limits, Vec<LimitFault>> {
        let mut faults = Vec::new();
        let bounds = self.min.zip(self.max);
        let limits = asked.zip(self.default).zip(bounds).map(|field, limit| {
            let ((asked, default), (min, max)) = limit;
            // Only what was asked for is checked. The default is the operator's own.
            if let Some(asked) = asked.filter(|asked| !(min..=max).contains(asked)) {
                faults.push(LimitFault { field, asked, min, max });
            }
            asked.unwrap_or(default)
        });
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
            let asked = bound.map(|_, value| Some(value));
            assert_eq!(policy.resolve(&asked), Ok(bound));
        }
    }
}
