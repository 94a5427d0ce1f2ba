//! A user's progress.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use events::{Lane, State, SubmissionId, UserId, Verdict};
use serde::Serialize;

use super::Stamp;
use crate::progress::{ByLane, Progress, Recent, Solved, Streak};

/// The body of `GET /v1/users/me/progress`.
#[derive(Debug, Serialize)]
pub(crate) struct ProgressBody {
    user: UserId,
    submissions: LanesBody<u64>,
    verdicts: LanesBody<BTreeMap<String, u64>>,
    failed: u64,
    cancelled: u64,
    solved: SolvedBody,
    streak: StreakBody,
    languages: BTreeMap<String, u64>,
    recent: Vec<RecentBody>,
    sequence: u64,
}

#[derive(Debug, Serialize)]
struct LanesBody<T> {
    run: T,
    submit: T,
}

#[derive(Debug, Serialize)]
struct SolvedBody {
    suites: u64,
    submissions: u64,
    last_at: Option<Stamp>,
}

#[derive(Debug, Default, Serialize)]
struct StreakBody {
    current: u64,
    longest: u64,
    last_active_day: Option<NaiveDate>,
}

#[derive(Debug, Serialize)]
struct RecentBody {
    id: SubmissionId,
    language: String,
    lane: Lane,
    state: State,
    verdict: Option<Verdict>,
    points: Option<u64>,
    points_max: Option<u64>,
    accepted_at: Stamp,
    finished_at: Option<Stamp>,
}

impl ProgressBody {
    /// Shows a user's progress as it is on `today`.
    pub(crate) fn of(user: UserId, progress: Progress, today: NaiveDate) -> Self {
        let streak = progress.streak.map(|streak| StreakBody::on(today, streak));
        Self {
            user,
            submissions: progress.submissions.into(),
            verdicts: progress.verdicts.into(),
            failed: progress.failed,
            cancelled: progress.cancelled,
            solved: progress.solved.into(),
            streak: streak.unwrap_or_default(),
            languages: progress.languages,
            recent: progress.recent.into_iter().map(RecentBody::from).collect(),
            sequence: progress.sequence,
        }
    }
}

impl StreakBody {
    fn on(today: NaiveDate, streak: Streak) -> Self {
        let last_active_day = Some(streak.last_active_day);
        Self { current: streak.on(today), longest: streak.longest, last_active_day }
    }
}

impl<T> From<ByLane<T>> for LanesBody<T> {
    fn from(lanes: ByLane<T>) -> Self {
        Self { run: lanes.run, submit: lanes.submit }
    }
}

impl From<Solved> for SolvedBody {
    fn from(solved: Solved) -> Self {
        let Solved { suites, submissions, last_at } = solved;
        Self { suites, submissions, last_at: last_at.map(Stamp) }
    }
}

impl From<Recent> for RecentBody {
    fn from(recent: Recent) -> Self {
        Self {
            id: recent.id,
            language: recent.language,
            lane: recent.lane,
            state: recent.state,
            verdict: recent.verdict,
            points: recent.points.map(|(earned, _)| earned),
            points_max: recent.points.map(|(_, max)| max),
            accepted_at: Stamp(recent.accepted_at),
            finished_at: recent.finished_at.map(Stamp),
        }
    }
}
