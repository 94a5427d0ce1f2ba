//! `progress` on a real MongoDB.

use std::time::Duration;

use projector::progress::ProgressProjection;
use projector::projection::Projection as _;
use views::error::WriteError;
use views::generation::{Audience, Position, SwitchOutcome};
use views::testing::mongodb::bson::{Document, doc};

use crate::support::history::{Kind, batch, batches, record, step};
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
        let at = usize::try_from(position.sequence).unwrap();
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
    let pointers = database.documents.collection::<Document>("projections");
    pointers.update_one(doc! {}, doc! {"$set": {"reserved": 100_i64}}).await.unwrap();
    let hold = database.store().hold().await.unwrap();
    assert_eq!(hold.live(), Position { generation: 1, sequence: 100 });
    assert_eq!(hold.switch(rebuilt).await.unwrap(), SwitchOutcome::Behind);
    let rebuilt = database.projection.fold(Audience::Rebuild, rebuilt, &parts[1]).await.unwrap();
    let hold = database.store().hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt).await.unwrap(), SwitchOutcome::Done);
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
    assert_eq!(hold.switch(rebuilt).await.unwrap(), SwitchOutcome::Done);
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
    let hasty = ProgressProjection::new(writer.with_hold_time_max(Duration::ZERO));
    let held = hasty.fold(Audience::Readers, BEGINNING, &whole).await;
    assert!(matches!(held, Err(WriteError::Held)), "{held:?}");
    assert_eq!(hasty.fold(Audience::Readers, BEGINNING, &whole).await.unwrap().sequence, 10);
    database.remove().await;
}
