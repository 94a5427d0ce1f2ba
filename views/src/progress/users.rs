//! `progress_v1`: one document for each user.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use events::{Lane, LanguageSlug, State, SubmissionId, UserId, Verdict};
use serde::{Deserialize, Serialize};

use super::document::GuardedDocument;
use super::field::{Moment, text};

/// One user's progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserProgress {
    /// The document's key.
    #[serde(rename = "_id")]
    pub key: ProgressKey,
    /// The last event folded.
    pub last_seq: u64,
    /// Accepted submissions.
    pub submissions: ByLane<u64>,
    /// Completed submissions.
    pub verdicts: ByLane<VerdictCounts>,
    /// Submissions that the platform could not run.
    pub failed: u64,
    /// Cancelled submissions.
    pub cancelled: u64,
    /// What is solved.
    pub solved: SolvedTotals,
    /// Runs of active days; absent before the first active day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streak: Option<Streak>,
    /// Accepted submissions by language.
    pub languages: BTreeMap<LanguageSlug, u64>,
    /// The latest submissions, newest first.
    pub recent: Vec<RecentSubmission>,
}

/// The key of one user's progress. The generation goes first, so that one generation is one range
/// of the collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ProgressKey {
    pub generation: i32,
    pub principal: UserId,
}

/// What a user has solved, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolvedTotals {
    /// Distinct suites with an accepted verdict.
    pub suites: u64,
    /// Submissions with an accepted verdict.
    pub submissions: u64,
    /// When the latest of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Moment>,
}

/// A user's runs of consecutive days, in UTC, on which a program of the user's did what it should.
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

/// One submission in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct RecentSubmission {
    #[serde(with = "text")]
    pub submission: SubmissionId,
    pub language: LanguageSlug,
    pub lane: Lane,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    pub accepted_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Moment>,
}

/// Points of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// Those earned.
    pub earned: u64,
    /// Those to be had.
    pub max: u64,
}

/// One value for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the lanes, which say what they mean")]
pub struct ByLane<T> {
    pub run: T,
    pub submit: T,
}

/// How often each verdict was given. One that never was is absent from the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
// One field each and not a map, so that a new verdict does not compile until it is counted.
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the verdicts, which say what they mean")]
pub struct VerdictCounts {
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

impl UserProgress {
    /// Makes the progress of a user who has done nothing yet.
    pub fn none(key: ProgressKey) -> Self {
        Self {
            key,
            last_seq: 0,
            submissions: ByLane::default(),
            verdicts: ByLane::default(),
            failed: 0,
            cancelled: 0,
            solved: SolvedTotals::default(),
            streak: None,
            languages: BTreeMap::new(),
            recent: Vec::new(),
        }
    }
}

impl GuardedDocument for UserProgress {
    const COLLECTION: &'static str = "progress_v1";

    fn key(&self) -> impl Serialize + '_ {
        &self.key
    }

    fn last_seq(&self) -> u64 {
        self.last_seq
    }
}

impl Streak {
    /// Returns the length of the current run as it is on `today`: it lasts over a day without a
    /// verdict only until that day is over.
    pub fn current_on(&self, today: NaiveDate) -> u64 {
        let holds_until = self.last_active_day.succ_opt();
        if holds_until.is_some_and(|last| today <= last) { self.current } else { 0 }
    }
}

impl<T> ByLane<T> {
    /// Returns the value of `lane`. A new lane does not compile until it has one.
    pub fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Run => &mut self.run,
            Lane::Submit => &mut self.submit,
        }
    }
}

impl VerdictCounts {
    /// Returns the counter of `verdict`. A new verdict does not compile until it has one.
    pub fn get_mut(&mut self, verdict: Verdict) -> &mut u64 {
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

    /// Returns how often each verdict was given that was given at all.
    pub fn non_zero(mut self) -> BTreeMap<&'static str, u64> {
        let counts = Verdict::ALL.iter().map(|&verdict| (verdict.as_str(), *self.get_mut(verdict)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{self, Bson, Document, RawDocumentBuf, doc};

    use super::super::document::read;
    use super::*;
    use crate::error::Impossible;

    const ID: &str = "018f2f5e-0000-7000-8000-000000000001";

    fn document() -> Document {
        let at = bson::DateTime::from_millis(1_800_000_000_000);
        doc! {
            "_id": {"generation": 1, "principal": "ada"}, "last_seq": 812_i64,
            "submissions": {"run": 4_i64, "submit": 9_i64},
            "verdicts": {"run": {"finished": 3_i64}, "submit": {}},
            "failed": 0_i64, "cancelled": 1_i64,
            "solved": {"suites": 4_i64, "submissions": 5_i64, "last_at": at},
            "streak": {"current": 2_i64, "longest": 6_i64, "last_active_day": "2026-11-20"},
            "languages": {"python": 11_i64},
            "recent": [{
                "submission": ID, "language": "python", "lane": "submit", "state": "completed", "verdict": "accepted",
                "points": {"earned": 3_i64, "max": 4_i64}, "accepted_at": at, "finished_at": at,
            }],
        }
    }

    fn parsed(document: &Document) -> Result<UserProgress, Impossible> {
        read(UserProgress::COLLECTION, &RawDocumentBuf::try_from(document).unwrap())
    }

    #[test]
    fn a_document_is_read_whole_and_written_as_it_was() {
        let progress = parsed(&document()).unwrap();
        assert_eq!(
            (progress.last_seq, progress.submissions.submit, progress.cancelled),
            (812, 9, 1)
        );
        assert_eq!(progress.verdicts.run.non_zero(), BTreeMap::from([("finished", 3)]));
        assert_eq!(progress.streak.unwrap().last_active_day.to_string(), "2026-11-20");
        let recent = &progress.recent[0];
        let points = Some(Points { earned: 3, max: 4 });
        assert_eq!((recent.submission.to_string().as_str(), recent.points), (ID, points));
        assert_eq!(recent.verdict, Some(Verdict::Accepted));
        assert_eq!(recent.finished_at, progress.solved.last_at);
        let written = bson::serialize_to_bson(&progress).unwrap();
        assert_eq!(written, Bson::Document(document()));
    }

    #[test]
    fn what_is_not_known_yet_may_be_absent() {
        let mut document = document();
        document.remove("streak");
        document.get_document_mut("solved").unwrap().remove("last_at");
        let recent = document.get_array_mut("recent").unwrap()[0].as_document_mut().unwrap();
        for absent in ["verdict", "points", "finished_at"] {
            recent.remove(absent);
        }
        let progress = parsed(&document).unwrap();
        assert_eq!((progress.streak, progress.solved.last_at), (None, None));
        assert_eq!((progress.recent[0].verdict, progress.recent[0].finished_at), (None, None));
    }

    #[test]
    fn an_impossible_document_is_told_by_collection_member_and_key() {
        let mut document = document();
        let recent = document.get_array_mut("recent").unwrap()[0].as_document_mut().unwrap();
        recent.insert("lane", "fast");
        let error = parsed(&document).unwrap_err();
        let key = "{ \"generation\": 1, \"principal\": \"ada\" }";
        let told = format!("impossible value in progress_v1.recent[0].lane of {key}");
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn a_streak_holds_through_the_day_after_and_no_longer() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let streak = Streak { current: 3, longest: 5, last_active_day: day(20) };
        let on: Vec<u64> =
            [19, 20, 21, 22].into_iter().map(|date| streak.current_on(day(date))).collect();
        assert_eq!(on, [3, 3, 3, 0]);
    }
}
