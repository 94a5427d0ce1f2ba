//! `progress` on a real MongoDB.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use events::Timestamp;
use events::testing::ManualClock;
use futures::TryStreamExt as _;
use platform::clock::SystemClock;
use projector::progress::ProgressProjection;
use projector::projection::Projection as _;
use views::error::WriteError;
use views::generation::{Audience, LiveHistory, SwitchOutcome};
use views::testing::mongodb::bson::{Document, doc};

use crate::support::history::{Kind, batch, batches, id, position, record, step};
use crate::support::mongo::Database;
use crate::support::scripted::scramble;
use crate::support::view::{BEGINNING, View as _, crash_after};

#[tokio::test]
async fn a_crash_at_any_point_and_a_replay_from_the_checkpoint_give_the_same_documents() {
    let database = Database::fresh().await;
    let history = record(&scramble(300));
    let (mut crashes, mut torn) = (0, 0);
    for polls in 1.. {
        let position = database.store().position().await.unwrap();
        let at = usize::try_from(position.sequence()).unwrap();
        if at == history.len() {
            break;
        }
        // Batches of other lengths each time, since a restart cuts the ledger elsewhere.
        let upto = history.len().min(at + 20 + usize::try_from(polls % 17).unwrap());
        let store = database.another_projection().await;
        let part = batch(&history[at..upto]);
        if crash_after(polls % 60, store.fold(Audience::Readers, position, &part)).await.is_none() {
            crashes += 1;
            let pointer = database.pointer().await;
            torn += u32::from(pointer.get("reserved") != pointer.get("sequence"));
        }
    }
    assert!(crashes > 10 && torn > 3, "only {crashes} crashes, {torn} in the middle of a batch");
    database.assert_is_fold_of(&history).await;
    database.remove().await;
}

/// Submission 0 ends, and submission 1 does not.
const ONE_ENDS: [(u8, Kind); 5] =
    [(0, Kind::Accept), (1, Kind::Accept), (0, Kind::Start), (0, Kind::Complete), (1, Kind::Start)];

async fn remembered(database: &Database, generation: i32) -> Vec<Document> {
    let documents = database.documents.collection::<Document>("progress_submissions_v1");
    let of_generation = doc! {"_id.generation": generation};
    documents.find(of_generation).await.unwrap().try_collect().await.unwrap()
}

/// The projection, at a time of its own.
fn at(database: &Database, now: Timestamp) -> ProgressProjection {
    let writer = database.projection.writer().clone();
    ProgressProjection::new(writer, Arc::new(ManualClock::at(now)))
}

#[tokio::test]
async fn the_memory_of_a_submission_goes_after_its_end() {
    let database = Database::fresh().await;
    let history = record(&ONE_ENDS.map(|(submission, kind)| step(submission, kind)));
    // All is long past, so that only the server's rounds have to be waited for.
    let long_ago = at(&database, DateTime::UNIX_EPOCH);
    long_ago.fold(Audience::Readers, BEGINNING, &batch(&history)).await.unwrap();
    let often = doc! {"setParameter": 1, "ttlMonitorSleepSecs": 1};
    database.documents.client().database("admin").run_command(often).await.unwrap();
    let expiry = async {
        loop {
            let left = remembered(&database, 1).await;
            assert!(left.iter().any(|it| !it.contains_key("ended_at")), "{left:?}");
            if left.len() == 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(3), expiry).await.unwrap();
    database.assert_is_fold_of(&history).await;
    database.remove().await;
}

/// A projector that catches up folds ends that are long past.
#[tokio::test]
async fn an_end_is_remembered_from_the_moment_when_it_is_stored() {
    let database = Database::fresh().await;
    let history = record(&ONE_ENDS.map(|(submission, kind)| step(submission, kind)));
    let now = history[4].stored_at + TimeDelta::days(30);
    at(&database, now).fold(Audience::Readers, BEGINNING, &batch(&history)).await.unwrap();
    let ended = remembered(&database, 1)
        .await
        .into_iter()
        .find_map(|it| it.get_datetime("ended_at").ok().map(|at| at.timestamp_millis()));
    assert_eq!(ended, Some(now.timestamp_millis()));
    database.remove().await;
}

#[tokio::test]
async fn a_rebuild_stores_no_memory_of_what_ends_in_the_same_batch() {
    let database = Database::fresh().await;
    let history = batch(&record(&ONE_ENDS.map(|(submission, kind)| step(submission, kind))));
    let begun = database.store().begin_generation().await.unwrap();
    database.projection.fold(Audience::Rebuild, begun, &history).await.unwrap();
    let remembered = remembered(&database, begun.generation).await;
    assert_eq!(remembered.len(), 1, "{remembered:?}");
    let submission = remembered[0].get_document("_id").unwrap().get_str("submission").unwrap();
    assert_eq!(submission, id(1).to_string());
    database.remove().await;
}

#[tokio::test]
async fn an_impossible_document_stops_the_projection_and_is_named() {
    let database = Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(0, Kind::Start)]);
    let position = database
        .projection
        .fold(Audience::Readers, BEGINNING, &batch(&history[..1]))
        .await
        .unwrap();
    let spoil = doc! {"$set": {"recent.0.state": "resting"}};
    let progress = database.documents.collection::<Document>("progress_v1");
    progress.update_one(doc! {}, spoil).await.unwrap();
    let another = database.another_projection().await;
    let stopped =
        another.fold(Audience::Readers, position, &batch(&history[1..])).await.unwrap_err();
    let WriteError::Impossible(impossible) = stopped else { panic!("{stopped:?}") };
    assert_eq!((impossible.table, impossible.column.as_str()), ("progress_v1", "recent[0].state"));
    assert!(impossible.key.contains("u0"), "{}", impossible.key);
    database.remove().await;
}

#[tokio::test]
async fn a_generation_that_is_behind_what_readers_may_have_seen_is_not_shown() {
    let database = Database::fresh().await;
    let history = record(&scramble(100));
    let parts = batches(&history, &[59]);
    database.projection.fold(Audience::Readers, BEGINNING, &parts[0]).await.unwrap();
    let rebuilt = database.store().begin_generation().await.unwrap();
    let rebuilt = database.projection.fold(Audience::Rebuild, rebuilt, &parts[0]).await.unwrap();
    // A crash in the middle of the second batch: the checkpoint has not moved, the documents may
    // have.
    let last = position(&history[99]);
    database.announce(last).await;
    let hold = database.store().hold().await.unwrap();
    assert_eq!((hold.live().sequence(), hold.seen()), (60, Some(last)));
    let behind = hold.switch(rebuilt, LiveHistory::Same).await.unwrap();
    assert_eq!(behind, SwitchOutcome::Behind);
    let rebuilt = database.projection.fold(Audience::Rebuild, rebuilt, &parts[1]).await.unwrap();
    let hold = database.store().hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt, LiveHistory::Same).await.unwrap(), SwitchOutcome::Done);
    assert_eq!(database.store().position().await.unwrap(), rebuilt);
    database.assert_is_fold_of(&history).await;
    database.remove().await;
}

#[tokio::test]
async fn a_held_generation_stands_still_until_the_switch() {
    let database = Database::fresh().await;
    let history = record(&scramble(60));
    let parts = batches(&history, &[39]);
    let old = database.projection.fold(Audience::Readers, BEGINNING, &parts[0]).await.unwrap();
    let rebuilt = database.store().begin_generation().await.unwrap();
    let rebuilt = database.projection.fold(Audience::Rebuild, rebuilt, &parts[0]).await.unwrap();
    let hold = database.store().hold().await.unwrap();
    let held = database.projection.fold(Audience::Readers, old, &parts[1]).await;
    assert!(matches!(held, Err(WriteError::Held)), "{held:?}");
    assert_eq!(hold.switch(rebuilt, LiveHistory::Same).await.unwrap(), SwitchOutcome::Done);
    let late = database.projection.fold(Audience::Readers, old, &parts[1]).await;
    assert!(matches!(late, Err(WriteError::Moved)), "{late:?}");
    database.projection.fold(Audience::Readers, rebuilt, &parts[1]).await.unwrap();
    database.assert_is_fold_of(&history).await;
    database.remove().await;
}

#[tokio::test]
async fn a_hold_whose_rebuild_died_is_lifted() {
    let database = Database::fresh().await;
    let history = record(&scramble(10));
    drop(database.store().hold().await.unwrap());
    let whole = batch(&history);
    let writer = database.projection.writer().clone();
    let writer = writer.with_hold_time_max(Duration::ZERO);
    let hasty = ProgressProjection::new(writer, Arc::new(SystemClock));
    let held = hasty.fold(Audience::Readers, BEGINNING, &whole).await;
    assert!(matches!(held, Err(WriteError::Held)), "{held:?}");
    assert_eq!(hasty.fold(Audience::Readers, BEGINNING, &whole).await.unwrap().sequence(), 10);
    database.remove().await;
}

#[tokio::test]
async fn an_old_generation_is_deleted_in_parts_and_whole() {
    let database = Database::fresh().await;
    let documents = database.documents.collection::<Document>("progress_submissions_v1");
    let of_generation = |generation: i32| {
        let number = move |number: i32| format!("{number:04}");
        (0..2_001).map(move |it| doc! {"_id": {"generation": generation, "submission": number(it)}})
    };
    documents.insert_many(of_generation(1)).await.unwrap();
    documents.insert_many(of_generation(2).take(1)).await.unwrap();
    let rebuilt = database.store().begin_generation().await.unwrap();
    let hold = database.store().hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt, LiveHistory::Same).await.unwrap(), SwitchOutcome::Done);
    let mut told = Vec::new();
    database.store().delete_superseded(&mut |deleted| told.push(deleted)).await.unwrap();
    assert_eq!(told, [1_000, 2_000, 2_001]);
    assert_eq!((database.count(1).await, database.count(2).await), (0, 1));
    database.remove().await;
}
