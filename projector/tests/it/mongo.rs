//! `progress` on a real MongoDB.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use projector::batch::Batch;
use projector::error::ProjectionError;
use projector::progress::{Viewed, Views, derive, view};
use projector::projection::{Position, Projection, Switch};

use crate::support::history::{Kind, batch, batches, record, step};
use crate::support::mongo::{Database, Visible};
use crate::support::scripted::scramble;

const BEGINNING: Position = Position { generation: 1, sequence: 0 };

/// What the pure fold makes of a history.
fn folded(history: &[events::Recorded]) -> Visible {
    let derived = derive(0, &std::collections::BTreeMap::new(), &batch(history));
    let Views { progress, solved } = view(0, Views::default(), &derived.facts);
    assert_eq!(Viewed::of(&derived.facts).users.len(), progress.len());
    Visible { progress, solved, tracked: derived.tracked }
}

async fn fold_all(store: &dyn Projection, batches: &[Batch]) -> Position {
    let mut position = store.position().await.unwrap();
    for batch in batches {
        position = store.fold(position, batch).await.unwrap();
    }
    position
}

#[tokio::test]
async fn the_documents_are_the_fold_of_the_replay_however_it_is_cut() {
    let history = record(&scramble(600));
    for cuts in [vec![], (0..600).step_by(13).collect::<Vec<_>>()] {
        let database = Database::fresh().await;
        let position = fold_all(&database.store, &batches(&history, &cuts)).await;
        assert_eq!(position.sequence, 600);
        assert_eq!(database.store.position().await.unwrap(), position);
        assert_eq!(database.visible().await, folded(&history));
        database.remove().await;
    }
}

#[tokio::test]
async fn a_batch_that_leaves_a_hole_is_refused_and_nothing_is_written() {
    let database = Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(1, Kind::Accept)]);
    let refused = database.store.fold(BEGINNING, &batch(&history[1..])).await;
    assert!(matches!(refused, Err(ProjectionError::Hole { stands: 0, first: 2 })), "{refused:?}");
    assert_eq!(database.visible().await, Visible::default());
    database.remove().await;
}

#[tokio::test]
async fn a_batch_that_was_folded_already_is_refused_and_changes_nothing() {
    let database = Database::fresh().await;
    let history = record(&scramble(50));
    database.store.fold(BEGINNING, &batch(&history)).await.unwrap();
    let again = database.another_store().await.fold(BEGINNING, &batch(&history[..20])).await;
    assert!(matches!(again, Err(ProjectionError::Moved)), "{again:?}");
    assert_eq!(database.visible().await, folded(&history));
    database.remove().await;
}

/// Polls a future so many times and then drops it, as a crash at that point does. Tells whether it was done before.
async fn crash_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn a_crash_at_any_point_and_a_replay_from_the_checkpoint_give_the_same_documents() {
    let database = Database::fresh().await;
    let history = record(&scramble(300));
    let (mut crashes, mut torn) = (0, 0);
    for polls in 1.. {
        let position = database.store.position().await.unwrap();
        let at = usize::try_from(position.sequence).unwrap();
        if at == history.len() {
            break;
        }
        // Batches of other lengths each time, since a restart cuts the ledger elsewhere.
        let upto = history.len().min(at + 20 + usize::try_from(polls % 17).unwrap());
        let store = database.another_store().await;
        let part = batch(&history[at..upto]);
        if crash_after(polls % 60, store.fold(position, &part)).await.is_none() {
            crashes += 1;
            let pointer = database.pointer().await;
            torn += u32::from(pointer.get("reserved") != pointer.get("sequence"));
        }
    }
    assert!(crashes > 10 && torn > 3, "only {crashes} crashes, {torn} in the middle of a batch");
    assert_eq!(database.visible().await, folded(&history));
    database.remove().await;
}

#[tokio::test]
async fn two_processes_that_fold_at_once_give_the_documents_of_one() {
    let database = Database::fresh().await;
    let history = record(&scramble(400));
    let compete = async |cut: usize| {
        let store = database.another_store().await;
        loop {
            let position = store.position().await.unwrap();
            let at = usize::try_from(position.sequence).unwrap();
            if at == history.len() {
                return;
            }
            let part = batch(&history[at..history.len().min(at + cut)]);
            match store.fold(position, &part).await {
                Ok(_) | Err(ProjectionError::Moved) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::join!(compete(10), compete(17));
    assert_eq!(database.visible().await, folded(&history));
    database.remove().await;
}

#[tokio::test]
async fn an_impossible_document_stops_the_projection_and_is_named() {
    let database = Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(0, Kind::Start)]);
    let position = database.store.fold(BEGINNING, &batch(&history[..1])).await.unwrap();
    let spoil = doc! {"$set": {"recent.0.state": "resting"}};
    let progress = database.documents.collection::<Document>("progress_v1");
    progress.update_one(doc! {}, spoil).await.unwrap();
    let another = database.another_store().await;
    let stopped = another.fold(position, &batch(&history[1..])).await.unwrap_err();
    let ProjectionError::Impossible(impossible) = stopped else { panic!("{stopped:?}") };
    assert_eq!((impossible.table, impossible.column.as_str()), ("progress_v1", "recent[0].state"));
    assert!(impossible.key.contains("u0"), "{}", impossible.key);
    database.remove().await;
}

#[tokio::test]
async fn a_generation_that_is_behind_what_readers_may_have_seen_is_not_shown() {
    let database = Database::fresh().await;
    let history = record(&scramble(100));
    let parts = batches(&history, &[59]);
    fold_all(&database.store, &parts[..1]).await;
    let rebuilt = database.store.begin_generation().await.unwrap();
    let rebuilt = database.store.build(rebuilt, &parts[0]).await.unwrap();
    // A crash in the middle of the second batch: the checkpoint has not moved, the documents may have.
    let pointers = database.documents.collection::<Document>("projections");
    pointers.update_one(doc! {}, doc! {"$set": {"reserved": 100_i64}}).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.live(), Position { generation: 1, sequence: 100 });
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Behind);
    let rebuilt = database.store.build(rebuilt, &parts[1]).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Done);
    assert_eq!(database.store.position().await.unwrap(), rebuilt);
    assert_eq!(database.visible().await, folded(&history));
    database.remove().await;
}

#[tokio::test]
async fn a_held_generation_stands_still_until_the_switch() {
    let database = Database::fresh().await;
    let history = record(&scramble(60));
    let parts = batches(&history, &[39]);
    let old = fold_all(&database.store, &parts[..1]).await;
    let rebuilt = database.store.begin_generation().await.unwrap();
    let rebuilt = database.store.build(rebuilt, &parts[0]).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    let held = database.store.fold(old, &parts[1]).await;
    assert!(matches!(held, Err(ProjectionError::Held)), "{held:?}");
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Done);
    let late = database.store.fold(old, &parts[1]).await;
    assert!(matches!(late, Err(ProjectionError::Moved)), "{late:?}");
    database.store.fold(rebuilt, &parts[1]).await.unwrap();
    assert_eq!(database.visible().await, folded(&history));
    database.remove().await;
}

#[tokio::test]
async fn a_hold_whose_rebuild_died_is_lifted() {
    let database = Database::fresh().await;
    let history = record(&scramble(10));
    drop(database.store.hold().await.unwrap());
    let whole = batch(&history);
    let hasty = database.another_store().await.with_hold_time_max(Duration::ZERO);
    let held = hasty.fold(BEGINNING, &whole).await;
    assert!(matches!(held, Err(ProjectionError::Held)), "{held:?}");
    assert_eq!(hasty.fold(BEGINNING, &whole).await.unwrap().sequence, 10);
    database.remove().await;
}

#[tokio::test]
async fn a_switched_generation_is_deleted_and_the_new_one_stays() {
    let database = Database::fresh().await;
    let history = record(&scramble(200));
    fold_all(&database.store, &[batch(&history)]).await;
    let rebuilt = database.store.begin_generation().await.unwrap();
    let rebuilt = database.store.build(rebuilt, &batch(&history)).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Done);
    assert!(database.count(1).await > 0);
    while database.store.delete_superseded().await.unwrap() > 0 {}
    assert_eq!(database.count(1).await, 0);
    assert_eq!(database.visible().await, folded(&history));
    database.remove().await;
}

#[tokio::test]
async fn of_two_rebuilds_the_slower_one_is_overtaken_only_by_a_later_generation() {
    let database = Database::fresh().await;
    let history = record(&scramble(20));
    let first = database.store.begin_generation().await.unwrap();
    let second = database.store.begin_generation().await.unwrap();
    let first = database.store.build(first, &batch(&history)).await.unwrap();
    let second = database.store.build(second, &batch(&history)).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.switch(second).await.unwrap(), Switch::Done);
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.switch(first).await.unwrap(), Switch::Overtaken);
    database.remove().await;
}
