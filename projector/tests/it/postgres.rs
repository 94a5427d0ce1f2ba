//! `results` on a real PostgreSQL.

use std::pin::pin;

use projector::projection::Projection as _;
use views::error::WriteError;
use views::generation::{Audience, Position, SwitchOutcome};

use crate::support::history::{Kind, batch, batches, id, record, replay, step};
use crate::support::postgres::Database;
use crate::support::scripted::scramble;
use crate::support::view::{BEGINNING, View as _, crash_after};

#[tokio::test]
async fn a_second_acceptance_on_another_subject_meets_the_first() {
    let database = Database::fresh().await;
    let accept = |salt| crate::support::history::Step { salt, ..step(0, Kind::Accept) };
    let history = record(&[accept(1), step(0, Kind::Start), accept(2)]);
    for (at, part) in (0..).step_by(2).zip(batches(&history, &[1])) {
        let at = Position { sequence: at, ..BEGINNING };
        database.projection.fold(Audience::Readers, at, &part).await.unwrap();
    }
    let seen = database.visible().await;
    assert_eq!(seen, replay(&history));
    assert_eq!(seen[&id(0)].violations, 1);
    database.remove().await;
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_batch_leaves_all_of_it_or_nothing() {
    let database = Database::fresh().await;
    let history = record(&scramble(400));
    let (mut position, mut polls, mut crashes) = (BEGINNING, 0, 0);
    for part in batches(&history, &[99, 199, 299]) {
        loop {
            polls += 1;
            let store = database.another_projection().await;
            if let Some(folded) =
                crash_after(polls % 40, store.fold(Audience::Readers, position, &part)).await
            {
                position = folded.unwrap();
                break;
            }
            crashes += 1;
            position = database.store().position().await.unwrap();
            let upto = usize::try_from(position.sequence).unwrap();
            database.assert_is_fold_of(&history[..upto]).await;
            if position.sequence == part.last() {
                break;
            }
        }
    }
    assert!(crashes > 3, "only {crashes} crashes");
    database.assert_is_fold_of(&history).await;
    database.remove().await;
}

#[tokio::test]
async fn an_impossible_row_stops_the_projection_and_is_named() {
    let database = Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(0, Kind::Start)]);
    let position = database
        .projection
        .fold(Audience::Readers, BEGINNING, &batch(&history[..1]))
        .await
        .unwrap();
    let spoil = "update submissions set case_count = -1";
    views::testing::sqlx::query(spoil).execute(&database.pool).await.unwrap();
    let stopped = database
        .another_projection()
        .await
        .fold(Audience::Readers, position, &batch(&history[1..]))
        .await
        .unwrap_err();
    let WriteError::Impossible(impossible) = stopped else { panic!("{stopped:?}") };
    assert_eq!((impossible.table, impossible.column.as_str()), ("submissions", "case_count"));
    assert_eq!(impossible.key, id(0).to_string());
    assert_eq!(database.store().position().await.unwrap(), position);
    database.remove().await;
}

#[tokio::test]
async fn a_database_without_a_schema_is_an_error_and_migrating_twice_is_none() {
    let database = Database::empty().await;
    let nowhere = database.store().position().await;
    assert!(matches!(nowhere, Err(WriteError::Missing("results"))), "{nowhere:?}");
    database.projection.writer().migrate().await.unwrap();
    database.projection.writer().migrate().await.unwrap();
    assert_eq!(database.store().position().await.unwrap(), BEGINNING);
    database.remove().await;
}

#[tokio::test]
async fn a_batch_that_waits_for_a_switch_finds_the_generation_moved() {
    let database = Database::fresh().await;
    let history = record(&scramble(60));
    let parts = batches(&history, &[39]);
    let old = database.projection.fold(Audience::Readers, BEGINNING, &parts[0]).await.unwrap();
    let rebuilt = database.store().begin_generation().await.unwrap();
    let rebuilt = database.projection.fold(Audience::Rebuild, rebuilt, &parts[0]).await.unwrap();
    let hold = database.store().hold().await.unwrap();
    let other = database.another_projection().await;
    let mut waiting = pin!(other.fold(Audience::Readers, old, &parts[1]));
    // The fold has begun and cannot end: it waits for the lock that the hold has.
    let blocked = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    loop {
        tokio::select! {
            biased;
            early = &mut waiting => panic!("it did not wait: {early:?}"),
            count = views::testing::sqlx::query_scalar::<_, i64>(blocked).fetch_one(&database.pool) => {
                if count.unwrap() == 1 {
                    break;
                }
            }
        }
    }
    assert_eq!(hold.switch(rebuilt).await.unwrap(), SwitchOutcome::Done);
    assert!(matches!(waiting.await, Err(WriteError::Moved)));
    database.remove().await;
}
