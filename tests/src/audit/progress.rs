//! The progress documents against a recount of the ledger (I7). The recount goes by
//! `migrations/progress_v1.md` and shares no code with the projector.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use events::event::Accepted;
use events::{Event, SubmissionId, Timestamp, Verdict};
use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Map, Value, json};

use super::Message;
use crate::servers::mongo::{ProgressDatabase, connect};

/// How many submissions a document keeps in its list.
const RECENT_MAX: usize = 50;

/// Fails while the view is behind `sequence`.
pub(super) async fn caught_up(mongo: &ProgressDatabase, sequence: u64) -> Result<()> {
    let database = connect(mongo.url()).await?.database(&mongo.database);
    let position = position(&database).await?.get_i64("sequence")?;
    ensure!(u64::try_from(position)? >= sequence, "the view stands at {position} of {sequence}");
    Ok(())
}

async fn position(database: &Database) -> Result<Document> {
    let projections = database.collection::<Document>("projections");
    projections.find_one(doc! { "_id": "progress" }).await?.context("there is no projection")
}

/// Compares every user's document and every solved suite.
pub(super) async fn compare(mongo: &ProgressDatabase, messages: &[Message]) -> Result<()> {
    let database = connect(mongo.url()).await?.database(&mongo.database);
    let generation =
        position(&database).await?.get("generation").cloned().context("no generation")?;
    let users = recount(messages);
    let expected: BTreeMap<String, Value> =
        users.iter().map(|(principal, user)| (principal.clone(), user.document())).collect();
    let found = read_users(&database, &generation).await?;
    same("progress_v1", &expected, &found)?;
    let expected: BTreeMap<String, Value> = users
        .iter()
        .flat_map(|(principal, user)| {
            user.suites
                .iter()
                .map(move |(sha256, suite)| (format!("{principal} {sha256}"), suite.document()))
        })
        .collect();
    same("progress_solved_v1", &expected, &read_solved(&database, &generation).await?)
}

fn same(
    collection: &str,
    expected: &BTreeMap<String, Value>,
    found: &BTreeMap<String, Value>,
) -> Result<()> {
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        let expected = expected
            .get(key)
            .with_context(|| format!("{collection} has {key}, the recount has not"))?;
        let found = found.get(key).with_context(|| format!("{collection} has no {key}"))?;
        let members =
            [expected, found].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
        for member in members.collect::<BTreeSet<_>>() {
            let (expected, found) = (&expected[member], &found[member]);
            ensure!(
                expected == found,
                "{collection} of {key}: {member} is {found}, the recount says {expected}"
            );
        }
    }
    Ok(())
}

async fn read_users(database: &Database, generation: &Bson) -> Result<BTreeMap<String, Value>> {
    let filter = doc! { "_id.generation": generation };
    let mut documents = database.collection::<Document>("progress_v1").find(filter).await?;
    let mut users = BTreeMap::new();
    while let Some(mut document) = documents.try_next().await? {
        let principal = document.get_document("_id")?.get_str("principal")?.to_owned();
        document.remove("_id");
        document.remove("last_seq").context("no last_seq")?;
        users.insert(principal, without_zeros(plain(Bson::Document(document))));
    }
    Ok(users)
}

async fn read_solved(database: &Database, generation: &Bson) -> Result<BTreeMap<String, Value>> {
    let filter = doc! { "_id.generation": generation };
    let mut documents = database.collection::<Document>("progress_solved_v1").find(filter).await?;
    let mut suites = BTreeMap::new();
    while let Some(mut document) = documents.try_next().await? {
        let id = document.get_document("_id")?;
        let key = format!("{} {}", id.get_str("principal")?, id.get_str("suite_sha256")?);
        document.remove("_id");
        document.remove("last_seq").context("no last_seq")?;
        suites.insert(key, plain(Bson::Document(document)));
    }
    Ok(suites)
}

/// Drops the verdicts that there are none of: an absent count is zero.
fn without_zeros(mut document: Value) -> Value {
    for lane in ["run", "submit"] {
        if let Some(counts) = document["verdicts"][lane].as_object_mut() {
            counts.retain(|_, count| *count != 0);
        }
    }
    document
}

/// Makes JSON of a document, times as milliseconds.
fn plain(value: Bson) -> Value {
    match value {
        Bson::Document(document) => {
            let members = document.into_iter().filter(|(_, value)| *value != Bson::Null);
            Value::Object(members.map(|(name, value)| (name, plain(value))).collect())
        }
        Bson::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        Bson::DateTime(time) => json!(time.timestamp_millis()),
        Bson::Int32(number) => json!(number),
        Bson::Int64(number) => json!(number),
        Bson::String(text) => json!(text),
        other => json!(other.to_string()),
    }
}

/// What one user's events amount to.
#[derive(Debug, Default)]
struct User {
    submissions: BTreeMap<&'static str, i64>,
    verdicts: BTreeMap<&'static str, BTreeMap<&'static str, i64>>,
    failed: i64,
    cancelled: i64,
    languages: BTreeMap<String, i64>,
    recent: Vec<Recent>,
    suites: BTreeMap<String, Suite>,
    solved_at: Option<Timestamp>,
    active_days: BTreeSet<day::Day>,
}

#[derive(Debug)]
struct Recent {
    id: SubmissionId,
    members: Map<String, Value>,
}

#[derive(Debug)]
struct Suite {
    count: i64,
    first_at: Timestamp,
    first_seq: u64,
}

/// Days as numbers, so that consecutive ones differ by one.
mod day {
    use events::Timestamp;

    /// A day since 1970, in UTC.
    pub(super) type Day = i64;

    const SECONDS: i64 = 24 * 60 * 60;

    pub(super) fn of(time: Timestamp) -> Day {
        time.timestamp().div_euclid(SECONDS)
    }

    pub(super) fn text(day: Day) -> Option<String> {
        let noon = Timestamp::from_timestamp(day * SECONDS, 0)?;
        Some(noon.date_naive().to_string())
    }
}

fn recount(messages: &[Message]) -> BTreeMap<String, User> {
    let mut users: BTreeMap<String, User> = BTreeMap::new();
    let mut requests: BTreeMap<SubmissionId, &Accepted> = BTreeMap::new();
    for message in messages {
        let id = message.recorded.envelope.submission;
        if let Event::Accepted(accepted) = &message.recorded.envelope.event {
            requests.insert(id, accepted);
            users.entry(accepted.principal.to_string()).or_default().accept(message, accepted);
        } else if let Some(accepted) = requests.get(&id)
            && let Some(user) = users.get_mut(accepted.principal.as_str())
        {
            user.follow(message, accepted);
        }
    }
    users
}

impl User {
    fn accept(&mut self, message: &Message, accepted: &Accepted) {
        *self.submissions.entry(accepted.lane.as_str()).or_default() += 1;
        *self.languages.entry(accepted.language.slug.to_string()).or_default() += 1;
        let id = message.recorded.envelope.submission;
        let Value::Object(members) = json!({
            "submission": id.to_string(),
            "language": accepted.language.slug,
            "lane": accepted.lane,
            "state": "accepted",
            "accepted_at": message.recorded.stored_at.timestamp_millis(),
        }) else {
            return;
        };
        self.recent.insert(0, Recent { id, members });
    }

    fn follow(&mut self, message: &Message, accepted: &Accepted) {
        let state = match &message.recorded.envelope.event {
            Event::Accepted(_) | Event::Compiled(_) | Event::Judged(_) | Event::Lost(_) => return,
            Event::Started(_) => "running",
            Event::CancellationRequested(_) => "cancelling",
            Event::Completed(_) => "completed",
            Event::Failed(_) => "failed",
            Event::Cancelled(_) => "cancelled",
        };
        self.set(message, "state", json!(state));
        if message.recorded.envelope.event.is_terminal() {
            self.end(message, accepted);
        }
    }

    fn end(&mut self, message: &Message, accepted: &Accepted) {
        let at = message.recorded.stored_at;
        self.set(message, "finished_at", json!(at.timestamp_millis()));
        match &message.recorded.envelope.event {
            Event::Failed(_) => self.failed += 1,
            Event::Cancelled(_) => self.cancelled += 1,
            Event::Completed(completed) => {
                let verdict = completed.verdict;
                let lane = self.verdicts.entry(accepted.lane.as_str()).or_default();
                *lane.entry(verdict.as_str()).or_default() += 1;
                self.set(message, "verdict", json!(verdict));
                if let Some(cases) = &completed.cases {
                    let points = json!({ "earned": cases.points, "max": cases.points_max });
                    self.set(message, "points", points);
                }
                if matches!(verdict, Verdict::Accepted | Verdict::Finished) {
                    self.active_days.insert(day::of(at));
                }
                if let (Verdict::Accepted, Some(suite)) = (verdict, &accepted.suite) {
                    self.solve(&suite.sha256().to_string(), message);
                }
            }
            Event::Accepted(_)
            | Event::Started(_)
            | Event::Compiled(_)
            | Event::Judged(_)
            | Event::Lost(_)
            | Event::CancellationRequested(_) => {}
        }
    }

    fn solve(&mut self, sha256: &str, message: &Message) {
        let (at, sequence) = (message.recorded.stored_at, message.recorded.sequence);
        self.solved_at = Some(at);
        let first = || Suite { count: 0, first_at: at, first_seq: sequence };
        self.suites.entry(sha256.to_owned()).or_insert_with(first).count += 1;
    }

    fn set(&mut self, message: &Message, name: &str, value: Value) {
        let id = message.recorded.envelope.submission;
        if let Some(recent) = self.recent.iter_mut().find(|recent| recent.id == id) {
            recent.members.insert(name.to_owned(), value);
        }
    }

    fn document(&self) -> Value {
        let lane = |lane: &str| self.submissions.get(lane).copied().unwrap_or(0);
        let verdicts = |lane: &str| json!(self.verdicts.get(lane).cloned().unwrap_or_default());
        let solved: i64 = self.suites.values().map(|suite| suite.count).sum();
        let mut solved = json!({ "suites": self.suites.len(), "submissions": solved });
        if let Some(at) = self.solved_at {
            solved["last_at"] = json!(at.timestamp_millis());
        }
        let recent: Vec<&Map<String, Value>> =
            self.recent.iter().take(RECENT_MAX).map(|recent| &recent.members).collect();
        let mut document = json!({
            "submissions": { "run": lane("run"), "submit": lane("submit") },
            "verdicts": { "run": verdicts("run"), "submit": verdicts("submit") },
            "failed": self.failed,
            "cancelled": self.cancelled,
            "solved": solved,
            "languages": self.languages,
            "recent": recent,
        });
        if let Some(streak) = self.streak() {
            document["streak"] = streak;
        }
        document
    }

    fn streak(&self) -> Option<Value> {
        let last = *self.active_days.last()?;
        let (mut longest, mut current, mut before) = (0, 0, None);
        for day in &self.active_days {
            current = if before == Some(day - 1) { current + 1 } else { 1 };
            longest = current.max(longest);
            before = Some(*day);
        }
        Some(json!({ "current": current, "longest": longest, "last_active_day": day::text(last)? }))
    }
}

impl Suite {
    fn document(&self) -> Value {
        json!({ "count": self.count, "first_at": self.first_at.timestamp_millis(), "first_seq": self.first_seq })
    }
}
