//! `results` on a real PostgreSQL.

use std::pin::pin;

use projector::projection::Projection as _;
use serde_json::Value;
use views::error::WriteError;
use views::generation::{Audience, LiveHistory, SwitchOutcome};
use views::results::superseded_sql;
use views::testing::sqlx;

use crate::support::history::{Kind, batch, batches, id, record, replay, step};
use crate::support::postgres::Database;
use crate::support::scripted::scramble;
use crate::support::view::{BEGINNING, View as _, crash_after};

#[tokio::test]
async fn a_second_acceptance_on_another_subject_meets_the_first() {
    let database = Database::fresh().await;
    let accept = |salt| crate::support::history::Step { salt, ..step(0, Kind::Accept) };
    let history = record(&[accept(1), step(0, Kind::Start), accept(2)]);
    let mut at = BEGINNING;
    for part in batches(&history, &[1]) {
        at = database.projection.fold(Audience::Readers, at, &part).await.unwrap();
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
            let upto = usize::try_from(position.sequence()).unwrap();
            database.assert_is_fold_of(&history[..upto]).await;
            if position.last == Some(part.last()) {
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
    sqlx::query(spoil).execute(&database.pool).await.unwrap();
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
async fn a_checkpoint_from_before_ledgers_had_ids_is_of_no_ledger() {
    let database = Database::empty().await;
    let migrate = async || database.projection.writer().migrate().await.unwrap();
    migrate().await;
    // As the migration finds it.
    let older = "
        drop view results_position;
        alter table checkpoints drop column ledger_id, drop column digest;
        create view results_position as
            select checkpoints.sequence
            from projections join checkpoints using (projection_name, generation)
            where projection_name = 'results';
        drop table quarantined_messages;
        update checkpoints set sequence = 7;
        delete from _sqlx_migrations where version = 9";
    views::testing::sqlx::raw_sql(older).execute(&database.pool).await.unwrap();
    migrate().await;
    let position = database.store().position().await.unwrap();
    let last = position.last.expect("it stands somewhere");
    assert_eq!((last.sequence, last.ledger.as_uuid().is_nil()), (7, true));
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
            count = sqlx::query_scalar::<_, i64>(blocked).fetch_one(&database.pool) => {
                if count.unwrap() == 1 {
                    break;
                }
            }
        }
    }
    assert_eq!(hold.switch(rebuilt, LiveHistory::Same).await.unwrap(), SwitchOutcome::Done);
    assert!(matches!(waiting.await, Err(WriteError::Moved)));
    database.remove().await;
}

/// Puts this many rows into a table of generation 1, in the order of their keys, and one into
/// generation 2, which readers see. What is deleted stays in the index, as it does under load.
async fn supersede(database: &Database, count: u32) {
    let rows = format!(
        "alter table unaccepted_submissions set (autovacuum_enabled = false);
        insert into unaccepted_submissions
            select 1, ('00000000-0000-0000-0000-' || lpad(number::text, 12, '0'))::uuid, 1
            from generate_series(1, {count}) as number;
        insert into unaccepted_submissions values (2, '{}', 1);
        update projections set generation = 2",
        key(1)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&database.pool).await.unwrap();
}

fn key(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// Counts the pages that PostgreSQL looks at to find the next thousand rows to delete.
async fn pages_to_find_rows(database: &Database, from: u32) -> i64 {
    let search = superseded_sql("unaccepted_submissions")
        .replace("$1", "1")
        .replace("$2", &format!("'{}'", key(from)))
        .replace("$3", "1000");
    let mut transaction = database.pool.begin().await.unwrap();
    let along_the_key = "set local enable_seqscan = off; set local enable_bitmapscan = off";
    sqlx::raw_sql(along_the_key).execute(&mut *transaction).await.unwrap();
    let explain = sqlx::AssertSqlSafe(format!("explain (analyze, buffers, format json) {search}"));
    let plans: Value = sqlx::query_scalar(explain).fetch_one(&mut *transaction).await.unwrap();
    let pages = |name: &str| plans[0]["Plan"][name].as_i64().unwrap();
    pages("Shared Hit Blocks") + pages("Shared Read Blocks")
}

#[tokio::test]
async fn the_next_rows_to_delete_are_found_without_passing_those_that_are_deleted() {
    let database = Database::fresh().await;
    supersede(&database, 40_000).await;
    let at_first = pages_to_find_rows(&database, 1).await;
    let delete = format!(
        "delete from unaccepted_submissions where generation = 1 and submission_id < '{}'",
        key(30_001)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(delete)).execute(&database.pool).await.unwrap();
    let from_the_beginning = pages_to_find_rows(&database, 1).await;
    assert!(from_the_beginning > 5 * at_first, "{from_the_beginning} pages, {at_first} at first");
    let from_there_on = pages_to_find_rows(&database, 30_001).await;
    assert!(from_there_on <= 2 * at_first, "{from_there_on} pages, {at_first} at first");
    database.remove().await;
}

#[tokio::test]
async fn an_old_generation_is_deleted_in_parts_and_whole() {
    let database = Database::fresh().await;
    supersede(&database, 12_001).await;
    let mut told = Vec::new();
    database.store().delete_superseded(&mut |deleted| told.push(deleted)).await.unwrap();
    assert_eq!(told, [5_000, 10_000, 12_001]);
    assert_eq!((database.count(1).await, database.count(2).await), (0, 1));
    database.remove().await;
}
