//! Runs of consecutive days, in UTC, on which a program of the user's did what it should.

use chrono::NaiveDate;
use events::Verdict;
use serde::{Deserialize, Serialize};

/// A user's runs of active days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streak {
    /// The length of the run that ends on the last active day, in days.
    pub current: u64,
    /// The length of the longest run, in days.
    pub longest: u64,
    /// The last active day.
    pub last_active_day: NaiveDate,
}

impl Streak {
    /// Tells whether a verdict makes its day active.
    pub const fn counts(verdict: Verdict) -> bool {
        match verdict {
            Verdict::Accepted | Verdict::Finished => true,
            Verdict::WrongAnswer
            | Verdict::CompileError
            | Verdict::RuntimeError
            | Verdict::TimeLimit
            | Verdict::MemoryLimit
            | Verdict::OutputLimit => false,
        }
    }

    /// Adds an active day. One before the last (the stream's clock may step back with its leader) changes nothing.
    #[must_use]
    pub fn extended(before: Option<Self>, day: NaiveDate) -> Self {
        let Some(streak) = before else {
            return Self { current: 1, longest: 1, last_active_day: day };
        };
        if day <= streak.last_active_day {
            return streak;
        }
        let follows = streak.last_active_day.succ_opt() == Some(day);
        let current = if follows { streak.current + 1 } else { 1 };
        Self { current, longest: streak.longest.max(current), last_active_day: day }
    }
}
