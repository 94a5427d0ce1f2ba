//! `results` on a real PostgreSQL.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use projector::batch::Batch;
use projector::error::ProjectionError;
use projector::projection::{Position, Projection, Switch};
use projector::results::{RESULTS_CHANGED, States};
use sqlx::postgres::PgListener;

use crate::support::history::{Kind, assert_same, batch, batches, id, record, replay, step};
use crate::support::postgres::Database;
use crate::support::scripted::scramble;

const BEGINNING: Position = Position { generation: 1, sequence: 0 };

async fn fold_all(store: &dyn Projection, batches: &[Batch]) -> Position {
    let mut position = store.position().await.unwrap();
    for batch in batches {
        position = store.fold(position, batch).await.unwrap();
    }
    position
}

#[tokio::test]
async fn the_rows_are_the_fold_of_the_replay_however_it_is_cut() {
    let history = record(&scramble(900));
    for cuts in [vec![], (0..900).collect(), (0..900).step_by(7).collect::<Vec<_>>()] {
        let database = Database::fresh().await;
        let position = fold_all(&database.store, &batches(&history, &cuts)).await;
        assert_eq!(position.sequence, 900);
        assert_eq!(database.store.position().await.unwrap(), position);
        assert_same(&database.everything().await, &replay(&history));
        database.remove().await;
    }
}

#[tokio::test]
async fn a_second_acceptance_on_another_subject_meets_the_first() {
    let database = Database::fresh().await;
    let accept = |salt| crate::support::history::Step { salt, ..step(0, Kind::Accept) };
    let history = record(&[accept(1), step(0, Kind::Start), accept(2)]);
    fold_all(&database.store, &batches(&history, &[1])).await;
    let seen = database.visible().await;
    assert_eq!(seen, replay(&history));
    assert_eq!(seen[&id(0)].violations, 1);
    database.remove().await;
}

#[tokio::test]
async fn a_batch_that_leaves_a_hole_is_refused_and_nothing_is_written() {
    let database = Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(1, Kind::Accept)]);
    let second = Batch::new(history[1..].to_vec()).unwrap();
    let refused = database.store.fold(BEGINNING, &second).await;
    assert!(matches!(refused, Err(ProjectionError::Hole { stands: 0, first: 2 })), "{refused:?}");
    assert_eq!(database.store.position().await.unwrap(), BEGINNING);
    assert!(database.everything().await.is_empty());
    database.remove().await;
}

#[tokio::test]
async fn a_batch_that_was_folded_already_is_refused_and_changes_nothing() {
    let database = Database::fresh().await;
    let history = record(&scramble(50));
    database.store.fold(BEGINNING, &batch(&history)).await.unwrap();
    let again = database.another_store().fold(BEGINNING, &batch(&history[..20])).await;
    assert!(matches!(again, Err(ProjectionError::Moved)), "{again:?}");
    assert_same(&database.everything().await, &replay(&history));
    database.remove().await;
}

#[tokio::test]
async fn of_two_processes_that_fold_the_same_batch_one_does() {
    let database = Database::fresh().await;
    let history = record(&scramble(200));
    let whole = batch(&history);
    let other = database.another_store();
    let (one, two) =
        tokio::join!(database.store.fold(BEGINNING, &whole), other.fold(BEGINNING, &whole));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    assert_same(&database.everything().await, &replay(&history));
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
async fn a_crash_at_any_point_of_a_batch_leaves_all_of_it_or_nothing() {
    let database = Database::fresh().await;
    let history = record(&scramble(400));
    let (mut position, mut polls, mut crashes) = (BEGINNING, 0, 0);
    for part in batches(&history, &[99, 199, 299]) {
        loop {
            polls += 1;
            let store = database.another_store();
            if let Some(folded) = crash_after(polls % 40, store.fold(position, &part)).await {
                position = folded.unwrap();
                break;
            }
            crashes += 1;
            position = database.store.position().await.unwrap();
            let upto = usize::try_from(position.sequence).unwrap();
            assert_same(&database.everything().await, &replayed(&history[..upto]));
            if position.sequence == part.last() {
                break;
            }
        }
    }
    assert!(crashes > 3, "only {crashes} crashes");
    assert_same(&database.everything().await, &replay(&history));
    database.remove().await;
}

fn replayed(history: &[events::Recorded]) -> States {
    if history.is_empty() { States::new() } else { replay(history) }
}

#[tokio::test]
async fn changed_submissions_are_told_to_listeners() {
    let database = Database::fresh().await;
    let mut listener = PgListener::connect_with(&database.pool).await.unwrap();
    listener.listen(RESULTS_CHANGED).await.unwrap();
    let history = record(&[step(0, Kind::Accept), step(1, Kind::Accept), step(0, Kind::Start)]);
    database.store.fold(BEGINNING, &batch(&history)).await.unwrap();
    let told = listener.recv().await.unwrap();
    assert_eq!(told.payload(), format!("{},{}", id(0), id(1)));
    drop(listener);
    database.remove().await;
}

#[tokio::test]
async fn an_impossible_row_stops_the_projection_and_is_named() {
    let database = Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(0, Kind::Start)]);
    let position = database.store.fold(BEGINNING, &batch(&history[..1])).await.unwrap();
    let spoil = "update submissions set case_count = -1";
    sqlx::query(spoil).execute(&database.pool).await.unwrap();
    let stopped = database.another_store().fold(position, &batch(&history[1..])).await.unwrap_err();
    let ProjectionError::Impossible(impossible) = stopped else { panic!("{stopped:?}") };
    assert_eq!((impossible.table, impossible.column.as_str()), ("submissions", "case_count"));
    assert_eq!(impossible.key, id(0).to_string());
    assert_eq!(database.store.position().await.unwrap(), position);
    database.remove().await;
}

#[tokio::test]
async fn a_database_without_a_schema_is_an_error_and_migrating_twice_is_none() {
    let database = Database::empty().await;
    let nowhere = database.store.position().await;
    assert!(matches!(nowhere, Err(ProjectionError::Missing("results"))), "{nowhere:?}");
    database.store.migrate().await.unwrap();
    database.store.migrate().await.unwrap();
    assert_eq!(database.store.position().await.unwrap(), BEGINNING);
    database.remove().await;
}

#[tokio::test]
async fn a_generation_that_is_behind_is_not_shown() {
    let database = Database::fresh().await;
    let history = record(&scramble(100));
    let parts = batches(&history, &[59]);
    fold_all(&database.store, &parts).await;
    let rebuilt = database.store.begin_generation().await.unwrap();
    let rebuilt = database.store.build(rebuilt, &parts[0]).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.live(), Position { generation: 1, sequence: 100 });
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Behind);
    assert_eq!(database.store.position().await.unwrap().generation, 1);
    let rebuilt = database.store.build(rebuilt, &parts[1]).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Done);
    assert_eq!(database.store.position().await.unwrap(), rebuilt);
    assert_same(&database.everything().await, &replay(&history));
    database.remove().await;
}

#[tokio::test]
async fn after_a_switch_the_old_generation_takes_no_more_and_is_deleted() {
    let database = Database::fresh().await;
    let history = record(&scramble(60));
    let parts = batches(&history, &[39]);
    let old = fold_all(&database.store, &parts[..1]).await;
    let rebuilt = database.store.begin_generation().await.unwrap();
    let rebuilt = database.store.build(rebuilt, &parts[0]).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Done);
    let late = database.store.fold(old, &parts[1]).await;
    assert!(matches!(late, Err(ProjectionError::Moved)), "{late:?}");
    database.store.fold(rebuilt, &parts[1]).await.unwrap();
    assert!(database.rows(1).await > 0);
    while database.store.delete_superseded().await.unwrap() > 0 {}
    assert_eq!(database.rows(1).await, 0);
    assert_same(&database.everything().await, &replay(&history));
    database.remove().await;
}

#[tokio::test]
async fn a_batch_that_waits_for_a_switch_finds_the_generation_moved() {
    let database = Database::fresh().await;
    let history = record(&scramble(60));
    let parts = batches(&history, &[39]);
    let old = fold_all(&database.store, &parts[..1]).await;
    let rebuilt = database.store.begin_generation().await.unwrap();
    let rebuilt = database.store.build(rebuilt, &parts[0]).await.unwrap();
    let hold = database.store.hold().await.unwrap();
    let other = database.another_store();
    let mut waiting = pin!(other.fold(old, &parts[1]));
    // The fold has begun and cannot end: it waits for the lock that the hold has.
    let blocked = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    loop {
        tokio::select! {
            biased;
            early = &mut waiting => panic!("it did not wait: {early:?}"),
            count = sqlx::query_scalar::<_, i64>(blocked).fetch_one(&database.pool) => {
                if count.unwrap() == 1 {
                    break;
                }
            }
        }
    }
    assert_eq!(hold.switch(rebuilt).await.unwrap(), Switch::Done);
    assert!(matches!(waiting.await, Err(ProjectionError::Moved)));
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
    assert_eq!(database.store.position().await.unwrap(), second);
    database.remove().await;
}
