//! Presence: who lives says yes or no, who is gone is known at once, who hangs is not taken for
//! gone.

use std::time::Duration;

use events::{BootId, Lane, SubmissionId};
use futures::{FutureExt as _, StreamExt as _};
use ledger::{Connection, Held};
use servers::testing::{NatsServer, TESTER};
use tokio::time::{Instant, timeout};

use crate::common::{clock, connect, fresh_id, fresh_uuid, open_as, pool, submit};

async fn two(server: &NatsServer) -> [Connection; 2] {
    [connect(server).await, open_as(&server.url(), TESTER).await]
}

#[tokio::test]
async fn a_living_executor_says_what_it_holds() {
    let server = NatsServer::start().await;
    let [executor, observer] = two(&server).await;
    let (life, held) = (BootId::new(fresh_uuid()), fresh_id());
    let answering =
        executor.presence().answer(life, move |id: SubmissionId| id == held).await.unwrap();
    let asking = async {
        assert_eq!(observer.presence().ask(life, held).await.unwrap(), Held::Yes);
        assert_eq!(observer.presence().ask(life, fresh_id()).await.unwrap(), Held::No);
    };
    tokio::select! {
        () = answering => panic!("it stopped answering"),
        () = asking => {}
    }
}

#[tokio::test]
async fn a_life_that_is_over_is_known_at_once() {
    let server = NatsServer::start().await;
    let [executor, observer] = two(&server).await;
    let presence = observer.presence();
    let began = Instant::now();
    assert_eq!(presence.ask(BootId::new(fresh_uuid()), fresh_id()).await.unwrap(), Held::Gone);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());

    let life = BootId::new(fresh_uuid());
    let answering = executor.presence().answer(life, |_| true).await.unwrap();
    drop(answering);
    drop(executor);
    let gone = async { while presence.ask(life, fresh_id()).await.unwrap() != Held::Gone {} };
    timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_life_that_hangs_is_silent_and_not_gone() {
    let server = NatsServer::start().await;
    let [executor, observer] = two(&server).await;
    let life = BootId::new(fresh_uuid());
    // It has subscribed, and nobody runs its answers.
    let hanging = executor.presence().answer(life, |_| true).await.unwrap();
    assert_eq!(observer.presence().ask(life, fresh_id()).await.unwrap(), Held::Silent);
    drop(hanging);
}

#[tokio::test]
async fn after_nats_was_away_nobody_is_gone_too_soon() {
    let mut server = NatsServer::start().await;
    let [observer, _] = two(&server).await;
    let life = BootId::new(fresh_uuid());
    assert_eq!(observer.presence().ask(life, fresh_id()).await.unwrap(), Held::Gone);
    server.restart().await;
    // Others may still be on their way back.
    observer.ready().await.unwrap();
    assert_eq!(observer.presence().ask(life, fresh_id()).await.unwrap(), Held::Silent);
}

#[tokio::test]
async fn a_wish_to_cancel_reaches_the_pool() {
    let server = NatsServer::start().await;
    let [executor, api] = two(&server).await;
    let presence = executor.presence();
    let mut run = presence.cancellations(Lane::Run, &pool()).await.unwrap();
    let mut submit_lane = presence.cancellations(Lane::Submit, &pool()).await.unwrap();
    let aggregate = submit(&api.ledger(clock())).await;
    api.presence().announce_cancellation(&aggregate.subject).await.unwrap();
    let told = timeout(Duration::from_secs(5), run.next()).await.unwrap();
    assert_eq!(told, Some(aggregate.id()));
    assert_eq!(submit_lane.next().now_or_never(), None);
}
