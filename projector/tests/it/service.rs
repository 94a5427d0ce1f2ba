//! The runner and the rebuild, on real stores and a ledger in memory whose every event is in the
//! test's hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::testing::LEDGER;
use events::{Digest, LedgerId, LedgerPosition, Recorded};
use ledger::Ledger;
use platform::shutdown::Shutdown;
use projector::projection::Projection;
use projector::rebuild::{RebuildError, RebuildStage, rebuild};
use projector::results::ResultsProjection;
use projector::runner::ProjectionRunner;
use projector::status::{Phase, Status};
use servers::testing::Proxy;
use views::results::{QuarantinedMessage, ResultsReader, ResultsView as _, ResultsWriter};

use crate::support::history::{Kind, id, position, record, step, subject};
use crate::support::memory::Memory;
use crate::support::process::World;
use crate::support::scripted::scramble;
use crate::support::view::View;
use crate::support::{mongo, postgres};

/// How long anything may take here before the test has failed.
const PATIENCE: Duration = Duration::from_mins(3);

/// Starts projections that no other process folds.
fn start(
    ledger: &Ledger,
    projections: impl IntoIterator<Item = Arc<dyn Projection>>,
    shutdown: &Shutdown,
) -> Vec<Status> {
    projections
        .into_iter()
        .map(|projection| {
            let status = Status::new(projection.store().name());
            let stop = shutdown.token();
            let runner = ProjectionRunner::new(ledger.clone(), projection, status.clone());
            shutdown.spawn_vital(status.name(), async move { runner.run(&stop).await });
            status
        })
        .collect()
}

fn run(ledger: &Ledger, projection: impl Projection + 'static) -> (Status, Shutdown) {
    let shutdown = Shutdown::new();
    let projection: Arc<dyn Projection> = Arc::new(projection);
    let status = start(ledger, [projection], &shutdown).remove(0);
    (status, shutdown)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

#[tokio::test]
async fn it_catches_up_and_then_follows_event_by_event() {
    let database = postgres::Database::fresh().await;
    let history = record(&scramble(700));
    let memory = Memory::of(&history[..650]);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    soon(status.reached(650)).await;
    for recorded in &history[650..] {
        memory.append(std::slice::from_ref(recorded));
        soon(status.reached(recorded.sequence)).await;
    }
    assert_eq!(status.phase(), Phase::Following);
    shutdown.finish(PATIENCE).await.unwrap();
    database.assert_is_fold_of(&memory.replay().await).await;
    database.remove().await;
}

async fn a_store_that_comes_and_goes_is_waited_for_and_nothing_is_missing<V: View>()
where
    V::Projection: 'static,
{
    let view = V::fresh().await;
    let proxy = Proxy::closed(V::address()).await;
    let history = record(&scramble(300));
    let memory = Memory::of(&history[..100]);
    let (status, shutdown) = run(&memory.ledger, view.projection_by(proxy.address).await);
    soon(status.stopped()).await;
    proxy.open();
    soon(status.reached(100)).await;
    proxy.close();
    memory.append(&history[100..]);
    soon(status.stopped()).await;
    proxy.open();
    soon(status.reached(300)).await;
    shutdown.finish(PATIENCE).await.unwrap();
    view.assert_is_fold_of(&memory.replay().await).await;
    view.remove().await;
}

#[tokio::test]
async fn a_postgres_that_comes_and_goes_is_waited_for_and_nothing_is_missing() {
    a_store_that_comes_and_goes_is_waited_for_and_nothing_is_missing::<postgres::Database>().await;
}

#[tokio::test]
async fn a_mongodb_that_comes_and_goes_is_waited_for_and_nothing_is_missing() {
    a_store_that_comes_and_goes_is_waited_for_and_nothing_is_missing::<mongo::Database>().await;
}

#[tokio::test]
async fn one_projection_without_its_store_does_not_stop_the_other() {
    let database = mongo::Database::fresh().await;
    let proxy = Proxy::closed(postgres::Database::address()).await;
    let nowhere = format!("postgres://nobody@{}/nothing", proxy.address);
    let memory = Memory::of(&record(&scramble(100)));
    let shutdown = Shutdown::new();
    let both: [Arc<dyn Projection>; 2] = [
        Arc::new(ResultsProjection::new(ResultsWriter::connect_lazy(&nowhere).unwrap())),
        Arc::new(database.another_projection().await),
    ];
    let statuses = start(&memory.ledger, both, &shutdown);
    soon(statuses[1].reached(100)).await;
    soon(statuses[0].stopped()).await;
    assert!(statuses[0].check().unwrap_err().starts_with("results: "));
    shutdown.finish(PATIENCE).await.unwrap();
    database.remove().await;
}

/// An event as a later version writes it.
fn newer_form(started: &Recorded) -> String {
    let text = String::from_utf8(started.envelope.encode()).unwrap();
    text.replace("execution.started:2", "execution.started:9")
}

/// Runs `results` as one of several services does.
async fn run_beside(world: &World, holder: &str, ledger: &Ledger, shutdown: &Shutdown) -> Status {
    let status = Status::new("results");
    let projection = Arc::new(world.results.another_projection().await);
    let runner = ProjectionRunner::new(ledger.clone(), projection, status.clone());
    let (leadership, stop) = (world.leadership(holder), shutdown.token());
    shutdown.spawn_vital(status.name(), async move {
        runner.run_while_leading(&leadership, &stop).await;
    });
    status
}

/// A rolling upgrade: the older process leads, and does not know what the newer ones write.
#[tokio::test]
async fn a_process_that_leads_and_cannot_fold_leaves_the_lead_to_one_that_can() {
    let world = World::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(1, Kind::Accept), step(0, Kind::Start)]);
    let (known, unknown) = (Memory::of(&history), Memory::of(&history[..2]));
    unknown.store.put_raw(&subject(&history[2]), newer_form(&history[2]));
    let shutdown = Shutdown::new();
    let older = run_beside(&world, "older", &unknown.ledger, &shutdown).await;
    soon(older.stopped()).await;
    let newer = run_beside(&world, "newer", &known.ledger, &shutdown).await;
    soon(newer.reached(3)).await;
    let waits = async {
        while older.phase() != Phase::Waiting {
            tokio::task::yield_now().await;
        }
    };
    soon(waits).await;
    assert_eq!((older.check(), newer.check()), (Ok(()), Ok(())));
    shutdown.finish(PATIENCE).await.unwrap();
    world.remove().await;
}

#[tokio::test]
async fn an_event_in_an_unknown_form_stops_the_projection_before_it() {
    let database = postgres::Database::fresh().await;
    let history = record(&[step(0, Kind::Accept), step(1, Kind::Accept), step(0, Kind::Start)]);
    let memory = Memory::of(&history[..2]);
    memory.store.put_raw(&subject(&history[2]), newer_form(&history[2]));
    memory.append(&record(&[step(2, Kind::Accept)]));
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    let why = soon(status.stopped()).await;
    assert!(why.contains("after event 2") && why.contains("execution.started:9"), "{why}");
    assert!(status.check().is_err());
    assert_eq!(database.store().position().await.unwrap().sequence(), 2);
    assert_eq!(database.visible().await.len(), 2);
    shutdown.finish(PATIENCE).await.unwrap();
    database.remove().await;
}

#[tokio::test]
async fn a_hole_in_the_ledger_stops_the_projection_before_it() {
    let database = postgres::Database::fresh().await;
    let memory = Memory::of(&record(&scramble(20)));
    memory.store.remove(11);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    let why = soon(status.stopped()).await;
    assert!(why.contains("hole"), "{why}");
    assert_eq!(database.store().position().await.unwrap().sequence(), 10);
    shutdown.finish(PATIENCE).await.unwrap();
    database.remove().await;
}

#[tokio::test]
async fn a_view_that_is_ahead_of_the_ledger_is_not_touched() {
    let database = postgres::Database::fresh().await;
    let history = record(&scramble(20));
    let (status, shutdown) = run(&Memory::of(&history).ledger, database.another_projection().await);
    soon(status.reached(20)).await;
    shutdown.finish(PATIENCE).await.unwrap();
    let shorter = Memory::of(&history[..5]);
    let (status, shutdown) = run(&shorter.ledger, database.another_projection().await);
    let why = soon(status.stopped()).await;
    assert!(why.contains("stands at event 20") && why.contains("ends at sequence 5"), "{why}");
    assert!(status.check().is_err());
    shutdown.finish(PATIENCE).await.unwrap();
    database.remove().await;
}

/// Documents may hold events 41 to 50 of before; the checkpoint stands at 40, which is still there.
#[tokio::test]
async fn a_batch_that_was_cut_off_before_a_set_back_is_not_forgotten() {
    let database = mongo::Database::fresh().await;
    let history = record(&scramble(60));
    let memory = Memory::of(&history[..40]);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    soon(status.reached(40)).await;
    shutdown.finish(PATIENCE).await.unwrap();
    database.announce(position(&history[49])).await;
    // Other events have the sequences from 41 on.
    memory.append(&history[45..]);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    let why = soon(status.stopped()).await;
    assert!(why.contains("stands at event 50"), "{why}");
    let rebuilt = rebuild(&memory.ledger, database.projection(), &mut |_| {}).await.unwrap();
    assert_eq!((rebuilt.generation, rebuilt.sequence()), (2, 55));
    soon(status.reached_in(2, 55)).await;
    shutdown.finish(PATIENCE).await.unwrap();
    database.assert_is_fold_of(&memory.replay().await).await;
    database.remove().await;
}

async fn after_a_set_back_a_rebuild_is_the_cure_and_the_service_goes_on<V: View>()
where
    V::Projection: 'static,
{
    let view = V::fresh().await;
    let history = record(&scramble(60));
    let memory = Memory::of(&history[..50]);
    let (status, shutdown) = run(&memory.ledger, view.another_projection().await);
    soon(status.reached(50)).await;
    memory.store.set_back(30);
    let why = soon(status.stopped()).await;
    assert!(why.contains("set back") && why.contains("ends at sequence 30"), "{why}");
    // Other events have these sequences now.
    memory.append(&history[50..]);
    let rebuilt = rebuild(&memory.ledger, view.projection(), &mut |_| {}).await.unwrap();
    assert_eq!((rebuilt.generation, rebuilt.sequence()), (2, 40));
    memory.append(&history[45..50]);
    soon(status.reached_in(2, 45)).await;
    assert_eq!(status.check(), Ok(()));
    shutdown.finish(PATIENCE).await.unwrap();
    view.assert_is_fold_of(&memory.replay().await).await;
    view.remove().await;
}

#[tokio::test]
async fn after_a_set_back_a_rebuild_mends_results_and_the_service_goes_on() {
    after_a_set_back_a_rebuild_is_the_cure_and_the_service_goes_on::<postgres::Database>().await;
}

#[tokio::test]
async fn after_a_set_back_a_rebuild_mends_progress_and_the_service_goes_on() {
    after_a_set_back_a_rebuild_is_the_cure_and_the_service_goes_on::<mongo::Database>().await;
}

async fn foreign_bytes_are_passed_by_in_service_and_in_a_rebuild<V: View>()
where
    V::Projection: 'static,
{
    let view = V::fresh().await;
    let history = record(&scramble(60));
    let memory = Memory::of(&history[..20]);
    memory.store.put_raw("ledger.oops", "hi");
    memory.append(&history[20..40]);
    let (status, shutdown) = run(&memory.ledger, view.another_projection().await);
    soon(status.reached(41)).await;
    // A batch of nothing else, on the subject of a submission that lives.
    memory.store.put_raw(&subject(&history[39]), vec![0, 0xff]);
    soon(status.reached(42)).await;
    memory.append(&history[40..]);
    soon(status.reached(62)).await;
    assert_eq!(status.check(), Ok(()));
    view.assert_is_fold_of(&memory.replay().await).await;
    rebuild(&memory.ledger, view.projection(), &mut |_| {}).await.unwrap();
    shutdown.finish(PATIENCE).await.unwrap();
    view.assert_is_fold_of(&memory.replay().await).await;
    view.remove().await;
}

#[tokio::test]
async fn foreign_bytes_are_passed_by_in_results() {
    foreign_bytes_are_passed_by_in_service_and_in_a_rebuild::<postgres::Database>().await;
}

#[tokio::test]
async fn foreign_bytes_are_passed_by_in_progress() {
    foreign_bytes_are_passed_by_in_service_and_in_a_rebuild::<mongo::Database>().await;
}

#[tokio::test]
async fn foreign_bytes_are_quarantined_once_whatever_they_are() {
    let database = postgres::Database::fresh().await;
    let memory = Memory::empty();
    let large = vec![0_u8; 100_000];
    memory.store.put_raw("ledger.oops", "hi");
    memory.store.put_raw(&format!("ledger.a\0b.{}", "x".repeat(1_000)), large.clone());
    memory.store.put_raw("ledger.empty", "");
    for _ in 0..2 {
        rebuild(&memory.ledger, &database.projection, &mut |_| {}).await.unwrap();
    }
    assert_eq!(database.projection.writer().count_quarantined().await.unwrap(), 3);
    let reader = ResultsReader::open(&database.url()).unwrap();
    let found = reader.quarantined(None, 10).await.unwrap();
    let sequences: Vec<u64> = found.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, [3, 2, 1]);
    let Some(QuarantinedMessage { ledger, payload, payload_bytes, digest, subject, .. }) =
        found.get(1)
    else {
        panic!("{found:?}");
    };
    assert_eq!((*ledger, *payload_bytes, *digest), (LEDGER, 100_000, Digest::of(&large)));
    assert_eq!(payload.len(), QuarantinedMessage::PAYLOAD_BYTES_MAX);
    assert!(subject.starts_with("ledger.a\u{FFFD}b.") && subject.len() < 600, "{subject}");
    assert_eq!(
        (found[2].payload.as_slice(), found[2].subject.as_str()),
        (&b"hi"[..], "ledger.oops")
    );
    assert!(found[2].reason.contains("not a stored event"), "{}", found[2].reason);
    let page = reader.quarantined(Some(found[0].place()), 1).await.unwrap();
    assert_eq!(page.iter().map(|message| message.sequence).collect::<Vec<_>>(), [2]);
    // Of another ledger at the same sequence.
    let other = LedgerId::new(uuid::Uuid::max());
    let before = LedgerPosition { ledger: other, ..found[0].place() };
    let page = reader.quarantined(Some(before), 1).await.unwrap();
    assert_eq!(page.iter().map(|message| message.sequence).collect::<Vec<_>>(), [3]);
    reader.close().await;
    database.remove().await;
}

#[tokio::test]
async fn readers_of_results_see_no_gap_and_no_step_back_over_a_rebuild() {
    let database = postgres::Database::fresh().await;
    let history = record(&scramble(2_000));
    let memory = Memory::of(&history[..700]);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    soon(status.reached(700)).await;
    let rebuilding =
        rebuild_while_it_grows(&memory, &database.projection, &status, &history[700..]);
    tokio::select! {
        () = soon(rebuilding) => {}
        () = read_results(&database) => {}
    }
    assert_eq!(status.position().unwrap().generation, 2);
    shutdown.finish(PATIENCE).await.unwrap();
    database.assert_is_fold_of(&memory.replay().await).await;
    assert_eq!(database.count(1).await, 0);
    database.remove().await;
}

/// How many events come one by one after a switch, so that the new generation is seen to go on.
const AFTER_SWITCH: usize = 30;

/// Rebuilds while events come in, each as soon as the live view has the one before it. What is left
/// comes at the end.
async fn rebuild_while_it_grows(
    memory: &Memory,
    projection: &dyn Projection,
    live: &Status,
    coming: &[Recorded],
) {
    let switched = AtomicU64::new(0);
    let mut report = |stage| {
        if let RebuildStage::Switched(position) = stage {
            switched.store(position.sequence(), Ordering::SeqCst);
        }
    };
    let growing = async {
        let (mut after, mut fed) = (0, 0);
        while after < AFTER_SWITCH {
            let recorded = &coming[fed];
            memory.append(std::slice::from_ref(recorded));
            live.reached(recorded.sequence).await;
            after += usize::from(switched.load(Ordering::SeqCst) > 0);
            fed += 1;
        }
        memory.append(&coming[fed..]);
        live.reached(coming[coming.len() - 1].sequence).await;
    };
    let (rebuilt, ()) = tokio::join!(rebuild(&memory.ledger, projection, &mut report), growing);
    rebuilt.unwrap();
    assert!(
        switched.into_inner() >= coming[0].sequence,
        "the ledger did not grow under the rebuild"
    );
}

/// Reads every submission over and over, and fails at the first that vanishes or steps back.
async fn read_results(database: &postgres::Database) {
    let mut seen = BTreeMap::new();
    let mut stood = 0;
    loop {
        let rows: Vec<(uuid::Uuid, i64)> = views::testing::sqlx::query_as(
            "select submission_id, sequence from results_submissions",
        )
        .fetch_all(&database.pool)
        .await
        .unwrap();
        let now: BTreeMap<uuid::Uuid, i64> = rows.into_iter().collect();
        for (id, sequence) in &seen {
            let sees = now.get(id);
            assert!(sees >= Some(sequence), "{id} stood at {sequence}, and now at {sees:?}");
        }
        seen = now;
        let stands: i64 =
            views::testing::sqlx::query_scalar("select sequence from results_position")
                .fetch_one(&database.pool)
                .await
                .unwrap();
        assert!(stands >= stood, "the view stood at {stood}, and now at {stands}");
        stood = stands;
    }
}

#[tokio::test]
async fn readers_of_progress_see_no_gap_and_no_step_back_over_a_rebuild() {
    let database = mongo::Database::fresh().await;
    let history = record(&scramble(2_000));
    let memory = Memory::of(&history[..500]);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    soon(status.reached(500)).await;
    let rebuilding =
        rebuild_while_it_grows(&memory, &database.projection, &status, &history[500..]);
    tokio::select! {
        () = soon(rebuilding) => {}
        () = read_progress(&database) => {}
    }
    assert_eq!(status.position().unwrap().generation, 2);
    shutdown.finish(PATIENCE).await.unwrap();
    database.assert_is_fold_of(&memory.replay().await).await;
    database.remove().await;
}

/// Reads each user's progress over and over, and fails at the first that vanishes or steps back.
async fn read_progress(database: &mongo::Database) {
    let (reader, mut seen) = (database.reader().await, BTreeMap::new());
    loop {
        for user in ["u0", "u1", "u2"] {
            let now = mongo::read(&reader, user).await.map(|progress| progress.last_seq);
            let before = seen.insert(user, now).flatten();
            assert!(now >= before, "{user} stood at {before:?}, and now at {now:?}");
        }
    }
}

#[tokio::test]
async fn a_rebuild_of_an_empty_ledger_is_an_empty_view() {
    let database = postgres::Database::fresh().await;
    let memory = Memory::empty();
    let rebuilt = rebuild(&memory.ledger, &database.projection, &mut |_| {}).await.unwrap();
    assert_eq!((rebuilt.generation, rebuilt.last), (2, None));
    assert_eq!(database.store().position().await.unwrap(), rebuilt);
    database.remove().await;
}

#[tokio::test]
async fn a_rebuild_mends_a_spoiled_view() {
    let database = postgres::Database::fresh().await;
    let history = record(&scramble(100));
    let memory = Memory::of(&history);
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    soon(status.reached(100)).await;
    views::testing::sqlx::query("delete from attempts").execute(&database.pool).await.unwrap();
    rebuild(&memory.ledger, &database.projection, &mut |_| {}).await.unwrap();
    shutdown.finish(PATIENCE).await.unwrap();
    database.assert_is_fold_of(&memory.replay().await).await;
    database.remove().await;
}

#[tokio::test]
async fn a_rebuild_of_a_broken_ledger_leaves_the_live_view_as_it_was() {
    let database = postgres::Database::fresh().await;
    let memory = Memory::of(&record(&scramble(30)));
    let (status, shutdown) = run(&memory.ledger, database.another_projection().await);
    soon(status.reached(30)).await;
    shutdown.finish(PATIENCE).await.unwrap();
    let before = database.visible().await;
    memory.store.remove(7);
    let failed = rebuild(&memory.ledger, &database.projection, &mut |_| {}).await;
    assert!(matches!(failed, Err(RebuildError::Broken(_))), "{failed:?}");
    assert_eq!(database.store().position().await.unwrap().generation, 1);
    assert_eq!(database.visible().await, before);
    assert!(before.contains_key(&id(0)));
    database.remove().await;
}
