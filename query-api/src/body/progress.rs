//! A user's progress.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use events::{Lane, LanguageSlug, State, SubmissionId, UserId, Verdict};
use serde::Serialize;
use views::progress::{
    ByLane, Moment, ProgressKey, RecentSubmission, SolvedTotals, Streak, UserProgress,
};

use super::Stamp;

/// The body of `GET /v1/users/me/progress`.
#[derive(Debug, Serialize)]
pub(crate) struct ProgressBody {
    user: UserId,
    submissions: LanesBody<u64>,
    verdicts: LanesBody<BTreeMap<&'static str, u64>>,
    failed: u64,
    cancelled: u64,
    solved: SolvedBody,
    streak: StreakBody,
    languages: BTreeMap<LanguageSlug, u64>,
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
    language: LanguageSlug,
    lane: Lane,
    state: State,
    verdict: Option<Verdict>,
    points: Option<u64>,
    points_max: Option<u64>,
    accepted_at: Stamp,
    finished_at: Option<Stamp>,
}

impl ProgressBody {
    /// Shows a user's progress as it is on `today`. A user without any has a body of zeros.
    pub(crate) fn of(user: UserId, progress: Option<UserProgress>, today: NaiveDate) -> Self {
        // Zeros and not a 404: a user who has done nothing exists. No client sees the generation.
        let none = || UserProgress::none(ProgressKey { generation: 0, principal: user.clone() });
        let progress = progress.unwrap_or_else(none);
        let ByLane { run, submit } = progress.verdicts;
        let streak = progress.streak.map(|streak| StreakBody::on(today, streak));
        Self {
            submissions: LanesBody {
                run: progress.submissions.run,
                submit: progress.submissions.submit,
            },
            verdicts: LanesBody { run: run.non_zero(), submit: submit.non_zero() },
            failed: progress.failed,
            cancelled: progress.cancelled,
            solved: progress.solved.into(),
            streak: streak.unwrap_or_default(),
            languages: progress.languages,
            recent: progress.recent.into_iter().map(RecentBody::from).collect(),
            sequence: progress.last_seq,
            user,
        }
    }
}

impl StreakBody {
    fn on(today: NaiveDate, streak: Streak) -> Self {
        let last_active_day = Some(streak.last_active_day);
        // By today and not as stored: a streak ends because a day passes, which is not an event.
        Self { current: streak.current_on(today), longest: streak.longest, last_active_day }
    }
}

impl From<SolvedTotals> for SolvedBody {
    fn from(solved: SolvedTotals) -> Self {
        let SolvedTotals { suites, submissions, last_at } = solved;
        Self { suites, submissions, last_at: last_at.map(stamp) }
    }
}

impl From<RecentSubmission> for RecentBody {
    fn from(recent: RecentSubmission) -> Self {
        Self {
            id: recent.submission,
            language: recent.language,
            lane: recent.lane,
            state: recent.state,
            verdict: recent.verdict,
            points: recent.points.map(|points| points.earned),
            points_max: recent.points.map(|points| points.max),
            accepted_at: stamp(recent.accepted_at),
            finished_at: recent.finished_at.map(stamp),
        }
    }
}

fn stamp(moment: Moment) -> Stamp {
    Stamp(moment.into())
}
