//! The binary as an operator runs it, on real servers, killed and rebuilt while events come in.

use std::collections::BTreeSet;
use std::time::Duration;

use events::Recorded;
use futures::StreamExt as _;
use tokio::process::Child;

use crate::support::history::record;
use crate::support::memory::recorded;
use crate::support::process::World;
use crate::support::scripted::scramble;
use crate::support::view::View as _;

/// What the ledger says, read back from it.
async fn replayed(world: &World, count: usize) -> Vec<Recorded> {
    let followed: Vec<_> = world.ledger.follow(None).take(count).collect().await;
    followed.into_iter().filter_map(|followed| recorded(followed.unwrap().entry)).collect()
}

/// Compares both views with the fold of the ledger, row by row and document by document.
async fn assert_views_are_the_fold(world: &World, count: usize) {
    let history = replayed(world, count).await;
    world.results.assert_is_fold_of(&history).await;
    world.progress.assert_is_fold_of(&history).await;
}

async fn terminate(mut service: Child) {
    let pid = service.id().unwrap().to_string();
    let sent = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(30), service.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}

#[tokio::test]
async fn killed_again_and_again_it_ends_with_the_fold_of_the_ledger() {
    let world = World::fresh().await;
    let history = record(&scramble(600));
    for part in history.chunks(100) {
        let mut service = world.serve();
        let last = world.append(part).await;
        // Killed as soon as both views have begun with this part.
        world.views_reach(last - 99).await;
        service.kill().await.unwrap();
    }
    let service = world.serve();
    world.views_reach(600).await;
    assert_views_are_the_fold(&world, 600).await;
    terminate(service).await;
    world.remove().await;
}

#[tokio::test]
async fn a_rebuild_beside_the_running_service_ends_with_the_fold_of_the_ledger() {
    let world = World::fresh().await;
    let history = record(&scramble(500));
    let service = world.serve();
    let (before, during) = history.split_at(300);
    world.append(before).await;
    let rebuilds = async {
        for name in ["results", "progress"] {
            let (status, told) = world.run(&["rebuild", name]).await;
            assert!(status.success(), "{told}");
            assert!(told.contains("readers see generation 2"), "{told}");
        }
    };
    let ((), _last) = tokio::join!(rebuilds, world.append(during));
    world.views_reach(500).await;
    assert_views_are_the_fold(&world, 500).await;
    assert_eq!(world.results.count(1).await, 0);
    terminate(service).await;
    world.remove().await;
}

#[tokio::test]
async fn two_services_lead_one_at_a_time_and_make_no_churn_of_consumers() {
    let world = World::fresh().await;
    let history = record(&scramble(400));
    let mut first = world.serve();
    let second = world.serve_beside();
    world.wait_for(&mut first, "/health/ready", 200).await;
    let mut consumers = BTreeSet::new();
    for part in history[..200].chunks(10) {
        let last = world.append(part).await;
        world.views_reach(last).await;
        consumers.extend(world.consumers().await);
    }
    // One for each projection, whichever process leads in it.
    assert_eq!(consumers.len(), 2, "{consumers:?}");
    first.kill().await.unwrap();
    let last = world.append(&history[200..]).await;
    let taken_over = tokio::time::timeout(Duration::from_secs(30), world.views_reach(last));
    taken_over.await.expect("the other one leads by now");
    assert_views_are_the_fold(&world, 400).await;
    terminate(second).await;
    world.remove().await;
}

#[tokio::test]
async fn it_answers_operators_and_says_what_is_away() {
    let mut world = World::fresh().await;
    let (status, told) = world.run(&["migrate"]).await;
    assert!(status.success(), "{told}");
    let (status, told) = world.run(&["serve", "--check-config"]).await;
    assert!(status.success(), "{told}");
    let (status, told) = world.run(&["sweep"]).await;
    assert!(status.success() && told.contains("removed 0 objects"), "{told}");
    let mut service = world.serve();
    for path in ["/health/live", "/health/ready", "/health/db", "/health/queue"] {
        world.wait_for(&mut service, path, 200).await;
    }
    world.wait_for_metric("ledger_projection_generation{projection=\"results\"} 1").await;
    world.stop_nats();
    world.wait_for(&mut service, "/health/queue", 503).await;
    world.wait_for(&mut service, "/health/ready", 503).await;
    world.wait_for(&mut service, "/health/db", 200).await;
    world.wait_for(&mut service, "/health/live", 200).await;
    terminate(service).await;
    world.remove().await;
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused() {
    let world = World::fresh().await;
    let (status, told) = world.run(&["serve", "--config", "/nowhere.toml"]).await;
    assert!(!status.success());
    assert!(told.contains("/nowhere.toml"), "{told}");
    world.remove().await;
}
