//! The view of a user's progress: what it can be asked, and the type in which it answers.

mod document;
pub mod mongo;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use events::{Lane, State, SubmissionId, UserId, Verdict};

use views::error::ViewError;

/// Answers from the view.
#[async_trait]
pub trait ProgressView: fmt::Debug + Send + Sync {
    /// Returns what the view knows of a user; of a new one, nothing.
    async fn of_user(&self, user: &UserId) -> Result<Option<Progress>, ViewError>;

    /// Asks for a sign of life.
    async fn ping(&self) -> Result<(), ViewError>;
}

/// One user's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The sequence of the last event in it.
    pub sequence: u64,
    /// Accepted submissions by lane.
    pub submissions: ByLane<u64>,
    /// Completed ones by lane and verdict; a verdict that never came is absent.
    pub verdicts: ByLane<BTreeMap<String, u64>>,
    /// Those that the platform could not run.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// What was solved.
    pub solved: Solved,
    /// Days in a row; nothing before the first.
    pub streak: Option<Streak>,
    /// Accepted submissions by language.
    pub languages: BTreeMap<String, u64>,
    /// The latest submissions, the newest first.
    pub recent: Vec<Recent>,
}

/// A value for each lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByLane<T> {
    /// Lane `run`.
    pub run: T,
    /// Lane `submit`.
    pub submit: T,
}

/// What was solved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solved {
    /// Distinct suites with an accepted verdict.
    pub suites: u64,
    /// Submissions with an accepted verdict.
    pub submissions: u64,
    /// When the latest of them ended.
    pub last_at: Option<DateTime<Utc>>,
}

/// Consecutive UTC days with an accepted or finished verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    /// As it was on the last such day.
    pub current: u64,
    /// The longest ever.
    pub longest: u64,
    /// The last such day.
    pub last_active_day: NaiveDate,
}

impl Streak {
    /// Returns the streak as it is on `today`: it lasts over a day without a verdict only until that day is over.
    pub fn on(&self, today: NaiveDate) -> u64 {
        let holds_until = self.last_active_day.succ_opt();
        if holds_until.is_some_and(|last| today <= last) { self.current } else { 0 }
    }
}

/// One of the latest submissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The submission.
    pub id: SubmissionId,
    /// Its language.
    pub language: String,
    /// Its lane.
    pub lane: Lane,
    /// Its state.
    pub state: State,
    /// Its verdict, where there is one.
    pub verdict: Option<Verdict>,
    /// The points earned and to be had, where it is judged.
    pub points: Option<(u64, u64)>,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_holds_through_the_day_after_and_no_longer() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let streak = Streak { current: 3, longest: 5, last_active_day: day(20) };
        let on: Vec<u64> = [19, 20, 21, 22].into_iter().map(|date| streak.on(day(date))).collect();
        assert_eq!(on, [3, 3, 3, 0]);
    }
}
