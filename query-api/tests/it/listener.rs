//! The listener on Postgres: who waits is woken by what the projector announces.

use std::sync::Arc;
use std::time::Duration;

use events::SubmissionId;
use query_api::changes::{Listener, Waiter, Waiters};
use tokio_util::sync::CancellationToken;

use crate::support::servers::Postgres;

const SOON: Duration = Duration::from_secs(10);

struct Listening {
    postgres: Postgres,
    waiters: Arc<Waiters>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    async fn start() -> Self {
        let (postgres, waiters) = (Postgres::fresh().await, Arc::new(Waiters::default()));
        let (stop, listener) =
            (CancellationToken::new(), Listener::new(&postgres.url, Arc::clone(&waiters)).unwrap());
        let task = tokio::task::spawn_local(listener.listen(stop.clone()));
        Self { postgres, waiters, stop, task }
    }

    fn wait_for(&self, number: u128) -> Waiter {
        self.waiters.wait_for(id(number)).unwrap()
    }

    async fn announce(&self, payload: &str) {
        let notify = sqlx::query("select pg_notify('results_changed', $1)").bind(payload);
        notify.execute(&self.postgres.pool).await.unwrap();
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.postgres.remove().await;
    }
}

fn id(number: u128) -> SubmissionId {
    SubmissionId::new(uuid::Uuid::from_u128(number))
}

async fn woken(waiter: &mut Waiter) {
    tokio::time::timeout(SOON, waiter.changed()).await.expect("nobody woke the waiter");
}

/// Runs a test whose tasks may be local.
async fn locally(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_announcement_wakes_those_it_names() {
    locally(async {
        let listening = Listening::start().await;
        let (mut first, mut second) = (listening.wait_for(1), listening.wait_for(2));
        // Everyone is woken once, when the listener begins.
        woken(&mut first).await;
        woken(&mut second).await;
        assert!(listening.waiters.is_fed());
        listening.announce(&format!("{},{}", id(3), id(2))).await;
        woken(&mut second).await;
        listening.announce(&id(1).to_string()).await;
        woken(&mut first).await;
        listening.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_broken_connection_wakes_everyone_and_is_made_again() {
    locally(async {
        let listening = Listening::start().await;
        let mut waiter = listening.wait_for(1);
        woken(&mut waiter).await;
        listening
            .postgres
            .execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'query-api listener'")
            .await;
        woken(&mut waiter).await;
        woken(&mut waiter).await;
        assert!(listening.waiters.is_fed(), "the second waking is that of the new connection");
        listening.announce(&id(1).to_string()).await;
        woken(&mut waiter).await;
        listening.end().await;
    })
    .await;
}
