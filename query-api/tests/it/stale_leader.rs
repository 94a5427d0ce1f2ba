//! A real leader that was cut off and does not know it: for some seconds it goes on answering with
//! what it has. A client whose sequence it lacks must not be told that its submission is absent.

use std::time::Duration;

use axum::http::StatusCode;
use events::subject::LEDGER_STREAM;
use ledger::testing::small_streams;
use ledger::{Connection, NatsLogin};
use platform::clock::SystemClock;
use platform::ids::RandomIds;
use servers::testing::{DivisibleCluster, TESTER, password_of};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Story, TestApp, accepted, path};

const SERVERS: usize = 3;
/// How long a cluster may take to elect a leader and to settle.
const PATIENCE: Duration = Duration::from_mins(1);
/// A leader that is cut off notices it after ten seconds.
const CUT_OFF_TIME: Duration = Duration::from_secs(12);

async fn connection(url: &str, user: &str) -> Connection {
    let login = NatsLogin::new(user, &password_of(user).into());
    Connection::open(url, &login, "test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_answers_no_404_and_nothing_older() {
    let divisible = DivisibleCluster::start(SERVERS).await;
    let cluster = &divisible.cluster;
    let provisioner = connection(&cluster.urls(), "provisioner").await;
    let settings = small_streams(SERVERS, cluster.monitor_urls());
    provisioner.provision(&settings, &RandomIds).await.unwrap();
    let leader = cluster.leader_of(LEDGER_STREAM).unwrap();
    let others: Vec<String> =
        (0..SERVERS).filter(|it| *it != leader).map(|it| cluster.servers[it].url()).collect();
    let clock = std::sync::Arc::new(SystemClock);
    let writer = connection(&others.join(","), TESTER).await.ledger(clock.clone());
    // An election may take longer than a writer usually tries.
    let writer = writer.with_deadline(PATIENCE);
    let old = Story::begin(&writer, accepted("ada")).await;
    let reader = connection(&cluster.servers[leader].url(), "query-api").await.ledger(clock);
    let app = TestApp::new().reading_ledger(reader);
    app.seen.begin_at(0);
    assert_eq!(app.get(&path(old.id())).await.state(), "accepted");

    divisible.isolate(leader);
    let cut_at = Instant::now();
    let story = timeout(PATIENCE, Story::begin(&writer, accepted("ada"))).await;
    let story = story.expect("the others have elected no leader");
    assert!(cut_at.elapsed() < CUT_OFF_TIME, "the old leader knows by now that it leads no more");
    // On a busy machine the election may take so long that the old leader answers no more.
    let answer = app.get(&path(old.id())).await;
    let is_away = answer.status == StatusCode::SERVICE_UNAVAILABLE;
    assert!(is_away || answer.state() == "accepted", "{answer:?}");
    let url = format!("{}?min_seq={}", path(story.id()), story.sequence());
    while cut_at.elapsed() < CUT_OFF_TIME {
        let answer = app.get(&url).await;
        assert_eq!((answer.status.as_u16(), answer.slug()), (503, "unavailable"), "{answer:?}");
    }

    divisible.unite();
    let healed = async {
        loop {
            let answer = app.get(&url).await;
            if answer.status == StatusCode::OK {
                return answer;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let answer = timeout(PATIENCE, healed).await.expect("the cluster does not answer again");
    assert_eq!(answer.state(), "accepted");
}
