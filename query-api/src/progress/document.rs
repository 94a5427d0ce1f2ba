//! Documents of `progress_v1` (`migrations/progress_v1.md`) into domain values. One that no projection writes is an error that
//! names collection, member and key.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use events::{Lane, State, UserId, Verdict};
use mongodb::bson::{self, Bson, Document};
use serde::de::{Deserialize, Deserializer, Error};

use super::{ByLane, Progress, Recent, Solved, Streak};
use views::error::Impossible;

/// The collection of one document for each user.
pub(super) const COLLECTION: &str = "progress_v1";

/// One user's document.
#[derive(Debug, serde::Deserialize)]
struct ProgressDocument {
    last_seq: u64,
    submissions: LaneDocument<u64>,
    verdicts: LaneDocument<BTreeMap<String, u64>>,
    failed: u64,
    cancelled: u64,
    solved: SolvedDocument,
    streak: Option<StreakDocument>,
    languages: BTreeMap<String, u64>,
    recent: Vec<RecentDocument>,
}

#[derive(Debug, serde::Deserialize)]
struct LaneDocument<T> {
    run: T,
    submit: T,
}

#[derive(Debug, serde::Deserialize)]
struct SolvedDocument {
    suites: u64,
    submissions: u64,
    last_at: Option<Date>,
}

#[derive(Debug, serde::Deserialize)]
struct StreakDocument {
    current: u64,
    longest: u64,
    last_active_day: NaiveDate,
}

#[derive(Debug, serde::Deserialize)]
struct RecentDocument {
    submission: String,
    language: String,
    lane: Lane,
    state: State,
    verdict: Option<Verdict>,
    points: Option<PointsDocument>,
    accepted_at: Date,
    finished_at: Option<Date>,
}

#[derive(Debug, serde::Deserialize)]
struct PointsDocument {
    earned: u64,
    max: u64,
}

/// A BSON date.
#[derive(Clone, Copy, Debug)]
struct Date(DateTime<Utc>);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let date = bson::DateTime::deserialize(deserializer)?;
        DateTime::from_timestamp_millis(date.timestamp_millis())
            .map(Self)
            .ok_or_else(|| D::Error::custom("the date is out of range"))
    }
}

/// Reads the document of `user`.
pub(super) fn read(document: Document, user: &UserId) -> Result<Progress, Impossible> {
    let document = bson::Deserializer::new(Bson::Document(document));
    let read: ProgressDocument = serde_path_to_error::deserialize(document)
        .map_err(|error| impossible(user, error.path().to_string(), error.into_inner()))?;
    Ok(Progress {
        sequence: read.last_seq,
        submissions: read.submissions.into(),
        verdicts: read.verdicts.into(),
        failed: read.failed,
        cancelled: read.cancelled,
        solved: read.solved.into(),
        streak: read.streak.map(Streak::from),
        languages: read.languages,
        recent: read
            .recent
            .into_iter()
            .map(|entry| recent(entry, user))
            .collect::<Result<_, _>>()?,
    })
}

fn recent(entry: RecentDocument, user: &UserId) -> Result<Recent, Impossible> {
    let id = entry.submission.parse();
    Ok(Recent {
        id: id.map_err(|error| impossible(user, "recent.submission".to_owned(), error))?,
        language: entry.language,
        lane: entry.lane,
        state: entry.state,
        verdict: entry.verdict,
        points: entry.points.map(|points| (points.earned, points.max)),
        accepted_at: entry.accepted_at.0,
        finished_at: entry.finished_at.map(|date| date.0),
    })
}

fn impossible(
    user: &UserId,
    member: String,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Impossible {
    Impossible {
        table: COLLECTION,
        column: member,
        key: user.to_string(),
        source: Box::new(source),
    }
}

impl<T> From<LaneDocument<T>> for ByLane<T> {
    fn from(lanes: LaneDocument<T>) -> Self {
        Self { run: lanes.run, submit: lanes.submit }
    }
}

impl From<SolvedDocument> for Solved {
    fn from(solved: SolvedDocument) -> Self {
        let SolvedDocument { suites, submissions, last_at } = solved;
        Self { suites, submissions, last_at: last_at.map(|date| date.0) }
    }
}

impl From<StreakDocument> for Streak {
    fn from(streak: StreakDocument) -> Self {
        let StreakDocument { current, longest, last_active_day } = streak;
        Self { current, longest, last_active_day }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

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

    fn user() -> UserId {
        "ada".parse().unwrap()
    }

    #[test]
    fn a_document_is_read_whole() {
        let progress = read(document(), &user()).unwrap();
        assert_eq!(
            (progress.sequence, progress.submissions.submit, progress.cancelled),
            (812, 9, 1)
        );
        assert_eq!(progress.verdicts.run["finished"], 3);
        assert_eq!(progress.streak.unwrap().last_active_day.to_string(), "2026-11-20");
        let recent = &progress.recent[0];
        assert_eq!((recent.id.to_string().as_str(), recent.points), (ID, Some((3, 4))));
        assert_eq!(recent.verdict, Some(Verdict::Accepted));
        assert_eq!(recent.finished_at, progress.solved.last_at);
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
        let progress = read(document, &user()).unwrap();
        assert_eq!((progress.streak, progress.solved.last_at), (None, None));
        assert_eq!((progress.recent[0].verdict, progress.recent[0].finished_at), (None, None));
    }

    #[test]
    fn an_impossible_document_is_told_by_collection_member_and_key() {
        let mut document = document();
        document.get_array_mut("recent").unwrap()[0]
            .as_document_mut()
            .unwrap()
            .insert("lane", "fast");
        let error = read(document, &user()).unwrap_err();
        assert_eq!(error.to_string(), "impossible value in progress_v1.recent[0].lane of ada");
    }
}
