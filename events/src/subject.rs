//! The subjects of the ledger. They are built and parsed here and nowhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::ids::SubmissionId;
use crate::names::PoolName;

/// The stream that holds everything that happened.
pub const LEDGER_STREAM: &str = "LEDGER";
/// The subjects of [`LEDGER_STREAM`].
// Narrow, so that the server refuses what no version of this form can read.
pub const LEDGER_SUBJECTS: [&str; 2] = ["ledger.submission.*.*.*.*.*", "ledger.outcome.*.*.*.*.*"];

/// What a submission wants: only to run, or to be judged by cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Display)]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Lane {
    /// Run once and show the output.
    Run,
    /// Run every case and judge the outputs.
    Submit,
}

/// How a submission stands to the others that wait. Within a priority, first come is first served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[derive(Serialize, Deserialize, Display, EnumString, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    /// Within its person's share of those that wait.
    #[default]
    Normal,
    /// Beyond it: served when the normal queue is empty, and every fifth time.
    Surplus,
}

/// The two families of subjects that a submission owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Family {
    /// One event, `submission.accepted`: this is the queue.
    // Two families, since a consumer of the queue must not be delivered the outcomes.
    Submission,
    /// Everything after it.
    Outcome,
}

/// A literal subject, `ledger.<family>.<lane>.<priority>.<pool>.<key part>.<id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Subject {
    /// Which of the submission's two subjects.
    pub family: Family,
    pub lane: Lane,
    pub priority: Priority,
    /// The pool whose image has the language.
    pub pool: PoolName,
    pub id: SubmissionId,
}

impl Subject {
    /// Returns the submission's subject of `family`.
    #[must_use]
    pub fn in_family(&self, family: Family) -> Self {
        Self { family, ..self.clone() }
    }

    /// Returns the filter that finds a submission's subject of `family` if lane, priority and pool
    /// are not known.
    pub fn lookup_filter(family: Family, id: SubmissionId) -> String {
        format!("ledger.{family}.*.*.*.{}.{id}", id.key_part())
    }

    /// Returns the filter that finds the submission which stands under the key part of `id`.
    pub fn key_filter(id: SubmissionId) -> String {
        format!("ledger.{}.*.*.*.{}.*", Family::Submission, id.key_part())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, lane, priority, pool, id } = self;
        write!(f, "ledger.{family}.{lane}.{priority}.{pool}.{}.{id}", id.key_part())
    }
}

/// One queue of submissions: those of one lane, priority and pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct QueueName {
    pub lane: Lane,
    pub priority: Priority,
    pub pool: PoolName,
}

impl QueueName {
    /// Returns every queue of a pool.
    pub fn of_pool(pool: &PoolName) -> Vec<Self> {
        let of_lane = |&lane: &Lane| {
            Priority::ALL.iter().map(move |&priority| Self { lane, priority, pool: pool.clone() })
        };
        Lane::ALL.iter().flat_map(of_lane).collect()
    }

    /// Returns the filter that every submission of the queue matches.
    pub fn filter(&self) -> String {
        let Self { lane, priority, pool } = self;
        format!("ledger.{}.{lane}.{priority}.{pool}.*.*", Family::Submission)
    }
}

/// `<lane>-<priority>-<pool>`.
impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lane, priority, pool } = self;
        write!(f, "{lane}-{priority}-{pool}")
    }
}

/// A text that is not the subject of a submission.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not ledger.<submission|outcome>.<run|submit>.<normal|surplus>.<pool>.<key part>.<id>"
)]
pub struct SubjectError(String);

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        parse(text).ok_or_else(|| SubjectError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Subject> {
    let mut tokens = text.split('.');
    let mut next = || tokens.next();
    if next()? != "ledger" {
        return None;
    }
    let family = next()?.parse().ok()?;
    let lane = next()?.parse().ok()?;
    let priority = next()?.parse().ok()?;
    let pool = next()?.parse().ok()?;
    let id = tokens.next_back()?.parse().ok()?;
    let subject = Subject { family, lane, priority, pool, id };
    // Only the canonical spelling is a subject: a second spelling would be a second subject of the
    // same submission, and could hold a second accepted event.
    (subject.to_string() == text).then_some(subject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subjects() -> impl Strategy<Value = Subject> {
        let family = prop_oneof![Just(Family::Submission), Just(Family::Outcome)];
        let lane = prop_oneof![Just(Lane::Run), Just(Lane::Submit)];
        let priority = prop_oneof![Just(Priority::Normal), Just(Priority::Surplus)];
        let all = (family, lane, priority, "[a-z0-9_-]{1,32}", any::<u128>());
        all.prop_map(|(family, lane, priority, pool, id)| Subject {
            family,
            lane,
            priority,
            pool: pool.parse().unwrap(),
            id: SubmissionId::new(uuid::Uuid::from_u128(id)),
        })
    }

    proptest! {
        #[test]
        fn a_subject_is_read_back_as_it_was_written(subject in subjects()) {
            prop_assert_eq!(subject.to_string().parse(), Ok(subject));
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".*") {
            if let Ok(subject) = text.parse::<Subject>() {
                prop_assert_eq!(subject.to_string(), text);
            }
        }
    }

    #[test]
    fn other_texts_are_no_subjects() {
        let (key, id) = ("7e5f-8a6b-7c8d9e0f1a2b", "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b");
        format!("ledger.submission.run.normal.core.{key}.{id}").parse::<Subject>().unwrap();
        let plain = id.replace('-', "");
        for bad in [
            "ledger.submission.run.normal.core".to_owned(),
            format!("ledger.submission.run.normal.core.{id}"),
            format!("ledger.submission.run.normal.core.{key}.{id}.x"),
            format!("ledger.submission.run.normal.core.8e5f-8a6b-7c8d9e0f1a2b.{id}"),
            format!("ledger.submission.run.core.{key}.{id}"),
            format!("ledger.submission.run.other.core.{key}.{id}"),
            format!("ledger.submission.other.normal.core.{key}.{id}"),
            format!("ledger.submission.run.normal.CORE.{key}.{id}"),
            format!("other.submission.run.normal.core.{key}.{id}"),
            format!("ledger.submission.run.normal.core.{key}.{plain}"),
            format!("ledger.problem.run.normal.core.{key}.{id}"),
        ] {
            assert!(bad.parse::<Subject>().is_err(), "{bad} was accepted");
        }
    }
}
