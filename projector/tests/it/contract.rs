//! What every view keeps to, whichever store it stands in: one suite, on a real PostgreSQL and on a
//! real MongoDB.

use events::{Digest, LedgerPosition};
use projector::batch::EventBatch;
use projector::projection::Projection as _;
use views::error::WriteError;
use views::generation::{Audience, LiveHistory, Position, SwitchOutcome};

use crate::support::history::{Kind, batch, batches, record, step};
use crate::support::scripted::scramble;
use crate::support::view::{BEGINNING, View};

macro_rules! suite {
    ($($clause:ident)+) => {
        mod results {
            use crate::support::postgres;
            use crate::support::view::View as _;

            $(#[tokio::test]
            async fn $clause() {
                super::$clause(postgres::Database::fresh().await).await;
            })+
        }
        mod progress {
            use crate::support::mongo;
            use crate::support::view::View as _;

            $(#[tokio::test]
            async fn $clause() {
                super::$clause(mongo::Database::fresh().await).await;
            })+
        }
    };
}

suite! {
    a_view_is_the_fold_of_the_replay_however_it_is_cut
    a_batch_that_leaves_a_hole_is_refused_and_nothing_is_written
    a_batch_that_was_folded_already_is_refused_and_changes_nothing
    two_processes_that_fold_at_once_give_the_view_of_one
    a_generation_that_is_behind_is_not_shown
    a_shorter_generation_takes_the_place_of_one_whose_history_is_gone
    a_batch_of_another_ledger_is_not_taken_for_the_next_one
    after_a_switch_the_old_generation_takes_no_more_and_is_deleted
    of_two_rebuilds_the_slower_one_is_overtaken_only_by_a_later_generation
}

async fn fold_all(view: &impl View, batches: &[EventBatch]) -> Position {
    let mut position = view.store().position().await.unwrap();
    for batch in batches {
        position = view.projection().fold(Audience::Readers, position, batch).await.unwrap();
    }
    position
}

/// Builds a generation beside the live one.
async fn build(view: &impl View, batches: &[EventBatch]) -> Position {
    let mut position = view.store().begin_generation().await.unwrap();
    for batch in batches {
        position = view.projection().fold(Audience::Rebuild, position, batch).await.unwrap();
    }
    position
}

async fn switch(view: &impl View, rebuilt: Position) -> SwitchOutcome {
    view.store().hold().await.unwrap().switch(rebuilt, LiveHistory::Same).await.unwrap()
}

async fn a_view_is_the_fold_of_the_replay_however_it_is_cut<V: View>(view: V) {
    let history = record(&scramble(900));
    for cuts in [vec![], (0..900).collect(), (0..900).step_by(7).collect::<Vec<_>>()] {
        let view = V::fresh().await;
        let position = fold_all(&view, &batches(&history, &cuts)).await;
        assert_eq!(position.sequence(), 900);
        assert_eq!(view.store().position().await.unwrap(), position);
        view.assert_is_fold_of(&history).await;
        view.remove().await;
    }
    view.remove().await;
}

async fn a_batch_that_leaves_a_hole_is_refused_and_nothing_is_written(view: impl View) {
    let history = record(&[step(0, Kind::Accept), step(1, Kind::Accept)]);
    let refused = view.projection().fold(Audience::Readers, BEGINNING, &batch(&history[1..])).await;
    assert!(matches!(refused, Err(WriteError::Hole { stands: 0, first: 2 })), "{refused:?}");
    assert_eq!(view.store().position().await.unwrap(), BEGINNING);
    view.assert_is_fold_of(&[]).await;
    view.remove().await;
}

async fn a_batch_that_was_folded_already_is_refused_and_changes_nothing(view: impl View) {
    let history = record(&scramble(50));
    view.projection().fold(Audience::Readers, BEGINNING, &batch(&history)).await.unwrap();
    let again = view
        .another_projection()
        .await
        .fold(Audience::Readers, BEGINNING, &batch(&history[..20]))
        .await;
    assert!(matches!(again, Err(WriteError::Moved)), "{again:?}");
    view.assert_is_fold_of(&history).await;
    view.remove().await;
}

async fn two_processes_that_fold_at_once_give_the_view_of_one(view: impl View) {
    let history = record(&scramble(400));
    let compete = async |cut: usize| {
        let projection = view.another_projection().await;
        loop {
            let position = projection.store().position().await.unwrap();
            let at = usize::try_from(position.sequence()).unwrap();
            if at == history.len() {
                return;
            }
            let part = batch(&history[at..history.len().min(at + cut)]);
            match projection.fold(Audience::Readers, position, &part).await {
                Ok(_) | Err(WriteError::Moved) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::join!(compete(10), compete(17));
    view.assert_is_fold_of(&history).await;
    view.remove().await;
}

async fn a_generation_that_is_behind_is_not_shown(view: impl View) {
    let history = record(&scramble(100));
    let parts = batches(&history, &[59]);
    let live = fold_all(&view, &parts).await;
    let rebuilt = build(&view, &parts[..1]).await;
    let hold = view.store().hold().await.unwrap();
    assert_eq!((hold.live(), hold.seen()), (live, live.last));
    let behind = hold.switch(rebuilt, LiveHistory::Same).await.unwrap();
    assert_eq!(behind, SwitchOutcome::Behind);
    assert_eq!(view.store().position().await.unwrap().generation, 1);
    let rebuilt = view.projection().fold(Audience::Rebuild, rebuilt, &parts[1]).await.unwrap();
    assert_eq!(switch(&view, rebuilt).await, SwitchOutcome::Done);
    assert_eq!(view.store().position().await.unwrap(), rebuilt);
    view.assert_is_fold_of(&history).await;
    view.remove().await;
}

async fn a_shorter_generation_takes_the_place_of_one_whose_history_is_gone(view: impl View) {
    let history = record(&scramble(100));
    let parts = batches(&history, &[59]);
    let old = fold_all(&view, &parts).await;
    let rebuilt = build(&view, &parts[..1]).await;
    let hold = view.store().hold().await.unwrap();
    let done = hold.switch(rebuilt, LiveHistory::Gone).await.unwrap();
    assert_eq!(done, SwitchOutcome::Done);
    assert_eq!(view.store().position().await.unwrap(), rebuilt);
    let late = view.projection().fold(Audience::Readers, old, &parts[1]).await;
    assert!(late.is_err(), "{late:?}");
    view.projection().fold(Audience::Readers, rebuilt, &parts[1]).await.unwrap();
    view.assert_is_fold_of(&history).await;
    view.remove().await;
}

/// Two ledgers have the same sequences.
async fn a_batch_of_another_ledger_is_not_taken_for_the_next_one(view: impl View) {
    let history = record(&scramble(40));
    let parts = batches(&history, &[19]);
    let at = fold_all(&view, &parts[..1]).await;
    let other = at.last.map(|last| LedgerPosition { digest: Digest::of(b"other"), ..last });
    let other = Position { last: other, ..at };
    let refused = view.another_projection().await.fold(Audience::Readers, other, &parts[1]).await;
    assert!(matches!(refused, Err(WriteError::Moved)), "{refused:?}");
    assert_eq!(view.store().position().await.unwrap(), at);
    view.assert_is_fold_of(&history[..20]).await;
    view.remove().await;
}

async fn after_a_switch_the_old_generation_takes_no_more_and_is_deleted(view: impl View) {
    let history = record(&scramble(60));
    let parts = batches(&history, &[39]);
    let old = fold_all(&view, &parts[..1]).await;
    let rebuilt = build(&view, &parts[..1]).await;
    assert_eq!(switch(&view, rebuilt).await, SwitchOutcome::Done);
    let late = view.projection().fold(Audience::Readers, old, &parts[1]).await;
    assert!(matches!(late, Err(WriteError::Moved)), "{late:?}");
    view.projection().fold(Audience::Readers, rebuilt, &parts[1]).await.unwrap();
    assert!(view.count(1).await > 0);
    let (stored, mut told) = (view.count(1).await, 0);
    view.store().delete_superseded(&mut |deleted| told = deleted).await.unwrap();
    assert_eq!(view.count(1).await, 0);
    assert!((1..=stored).contains(&told), "{told} of {stored}");
    view.assert_is_fold_of(&history).await;
    view.remove().await;
}

async fn of_two_rebuilds_the_slower_one_is_overtaken_only_by_a_later_generation(view: impl View) {
    let history = batch(&record(&scramble(20)));
    let first = view.store().begin_generation().await.unwrap();
    let second = view.store().begin_generation().await.unwrap();
    let first = view.projection().fold(Audience::Rebuild, first, &history).await.unwrap();
    let second = view.projection().fold(Audience::Rebuild, second, &history).await.unwrap();
    assert_eq!(switch(&view, second).await, SwitchOutcome::Done);
    assert_eq!(switch(&view, first).await, SwitchOutcome::Overtaken);
    assert_eq!(view.store().position().await.unwrap(), second);
    view.remove().await;
}
