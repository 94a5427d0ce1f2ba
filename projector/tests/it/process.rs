//! The binary as an operator runs it, on real servers, killed and rebuilt while events come in.

use std::time::Duration;

use events::Recorded;
use futures::StreamExt as _;
use tokio::process::Child;

use crate::support::history::record;
use crate::support::process::World;
use crate::support::scripted::scramble;
use crate::support::view::View as _;

/// What the ledger says, read back from it.
async fn replayed(world: &World, count: usize) -> Vec<Recorded> {
    let stored: Vec<_> = world.ledger.follow(1).take(count).collect().await;
    stored.into_iter().map(|stored| stored.unwrap().recorded).collect()
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
async fn it_answers_operators_and_says_what_is_away() {
    let mut world = World::fresh().await;
    let (status, told) = world.run(&["migrate"]).await;
    assert!(status.success(), "{told}");
    let (status, told) = world.run(&["serve", "--check-config"]).await;
    assert!(status.success(), "{told}");
    let mut service = world.serve();
    for path in ["/health/live", "/health/ready", "/health/db", "/health/queue"] {
        world.wait_for(&mut service, path, 200).await;
    }
    let metrics = world.wait_for(&mut service, "/metrics", 200).await;
    assert!(
        metrics.contains("ledger_projection_generation{projection=\"results\"} 1"),
        "{metrics}"
    );
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
