//! The ledger on three real servers that keep the same stream.

use std::time::Duration;

use events::subject::LEDGER_STREAM;
use futures::StreamExt as _;
use ledger::{Ledger, ProvisionError};
use servers::testing::{NatsCluster, TESTER};
use tokio::time::timeout;

use crate::common::{FreshIds, clock, connect_cluster, join, open_as, submit};
use crate::load::{
    Load, a_lost_answer_leaves_one_event, each_job_is_delivered_once,
    one_acceptance_wins_each_round, one_writer_wins_each_round,
};

const WRITERS: usize = 16;
const ROUNDS: usize = 50;
const SERVERS: usize = 3;

/// Ledgers on connections of their own, spread over the servers.
async fn ledgers(cluster: &NatsCluster) -> Vec<Ledger> {
    let mut ledgers = vec![connect_cluster(cluster).await.ledger(clock())];
    for index in 1..WRITERS {
        let url = cluster.servers[index % SERVERS].url();
        let connection = open_as(&url, TESTER).await;
        ledgers.push(connection.ledger(clock()));
    }
    ledgers
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_one_wins_in_a_cluster() {
    let cluster = NatsCluster::start(SERVERS).await;
    let ledgers = ledgers(&cluster).await;
    one_writer_wins_each_round(&ledgers, ROUNDS).await;
    one_acceptance_wins_each_round(&ledgers, ROUNDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_leaves_one_event_in_a_cluster() {
    let cluster = NatsCluster::start(SERVERS).await;
    a_lost_answer_leaves_one_event(connect_cluster(&cluster).await.store()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_leaders_are_killed() {
    let mut cluster = NatsCluster::start(SERVERS).await;
    let ledger = connect_cluster(&cluster).await.ledger(clock());
    let load = Load::begin(&ledger, WRITERS);
    for _ in 0..3 {
        load.more(300).await;
        let leader = cluster.leader_of(LEDGER_STREAM).unwrap();
        cluster.servers[leader].kill();
        // The two others go on without it.
        load.more(300).await;
        cluster.servers[leader].restart().await;
    }
    load.more(300).await;
    load.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_outlives_every_server_once() {
    let mut cluster = NatsCluster::start(SERVERS).await;
    let connection = connect_cluster(&cluster).await;
    let ledger = connection.ledger(clock());
    let mut following = ledger.follow(None);
    let mut expected = 0;
    for index in 0..SERVERS {
        cluster.servers[index].kill();
        for _ in 0..20 {
            submit(&ledger).await;
        }
        for _ in 0..20 {
            let next = timeout(Duration::from_secs(30), following.next()).await;
            expected += 1;
            assert_eq!(next.unwrap().unwrap().unwrap().position.sequence, expected);
        }
        cluster.servers[index].restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_is_delivered_once_in_a_cluster() {
    let cluster = NatsCluster::start(SERVERS).await;
    each_job_is_delivered_once(&connect_cluster(&cluster).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_outlives_the_leader() {
    let mut cluster = NatsCluster::start(SERVERS).await;
    let connection = connect_cluster(&cluster).await;
    let ledger = connection.ledger(clock());
    let mut worker = join(&connection, events::Lane::Run, Duration::from_secs(5)).await;
    for _ in 0..2 {
        let aggregate = submit(&ledger).await;
        // An acknowledgement may die with the leader that got it, and then its job comes once more.
        loop {
            let jobs = fetch_some(&mut worker).await;
            jobs[0].receipt.ack().await.unwrap();
            if jobs[0].aggregate.id() == aggregate.id() {
                break;
            }
        }
        let leader = cluster.leader_of(LEDGER_STREAM).unwrap();
        cluster.servers[leader].restart().await;
    }
}

/// Fetches as an executor does: again after a fault.
async fn fetch_some(worker: &mut ledger::Worker) -> Vec<ledger::Job> {
    let jobs = async {
        loop {
            if let Ok(jobs) = worker.fetch(1, Duration::from_secs(1)).await
                && !jobs.is_empty()
            {
                return jobs;
            }
        }
    };
    timeout(Duration::from_secs(30), jobs).await.unwrap()
}

#[tokio::test]
async fn every_server_of_a_cluster_must_be_asked_for_its_durability() {
    let cluster = NatsCluster::start(SERVERS).await;
    let connection = open_as(&cluster.urls(), "provisioner").await;
    let one = vec![cluster.servers[0].monitor_url()];
    let refused = connection.provision(&ledger::testing::small_streams(3, one), &FreshIds).await;
    let counted = matches!(refused, Err(ProvisionError::NotAllMonitored { servers: 3, asked: 1 }));
    assert!(counted, "{refused:?}");
}
