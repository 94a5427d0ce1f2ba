//! The real binary, with a real ledger behind it.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use events::Recorded;
use events::testing::{ManualClock, SeededIds};
use ledger::store::{Expected, Publication};
use ledger::testing::small_streams;
use ledger::{Connection, Leadership, Ledger, NatsLogin};
use servers::ClaimedPort;
use servers::testing::{NatsServer, TESTER, password_of};
use tokio::process::{Child, Command};

use super::history::subject;
use super::view::View as _;
use super::{mongo, postgres};
use views::testing::variable;

/// How long anything may take here before the test has failed.
const PATIENCE: Duration = Duration::from_mins(3);

/// A connection as one of the users of NATS.
async fn open_as(nats: &NatsServer, user: &str) -> Connection {
    let login = NatsLogin::new(user, &password_of(user).into());
    Connection::open(&nats.url(), &login, "test").await.unwrap()
}

/// Every server that the projector needs.
pub(crate) struct World {
    pub(crate) results: postgres::Database,
    pub(crate) progress: mongo::Database,
    pub(crate) ledger: Ledger,
    connection: Connection,
    nats: NatsServer,
    port: ClaimedPort,
    /// Where a second service listens.
    port_beside: ClaimedPort,
}

impl World {
    /// Starts what is not there, and empties the rest.
    pub(crate) async fn fresh() -> Self {
        let nats = NatsServer::start().await;
        let provisioner = open_as(&nats, "provisioner").await;
        let settings = small_streams(1, vec![nats.monitor_url()]);
        provisioner.provision(&settings, &SeededIds::new(7)).await.unwrap();
        let connection = open_as(&nats, TESTER).await;
        let ledger = connection.ledger(Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH)));
        Self {
            results: postgres::Database::fresh().await,
            progress: mongo::Database::fresh().await,
            ledger,
            connection,
            nats,
            port: ClaimedPort::any().unwrap(),
            port_beside: ClaimedPort::any().unwrap(),
        }
    }

    /// Appends events as they are, legal or not. Returns the sequence of the last.
    pub(crate) async fn append(&self, history: &[Recorded]) -> u64 {
        let store = self.connection.store();
        let mut sequence = 0;
        for recorded in history {
            let subject = subject(recorded);
            let last = store.last(&subject).await.unwrap().map_or(0, |last| last.sequence);
            let publication = Publication {
                // The histories of these tests repeat themselves, and the stream must not take that
                // for a retry.
                id: format!("test-{}", recorded.sequence),
                expected: Expected::Last(last),
                kind: recorded.envelope.event.kind(),
                traceparent: None,
                payload: recorded.envelope.encode().into(),
                subject,
            };
            sequence = store.publish(&publication).await.unwrap().sequence;
        }
        sequence
    }

    /// Makes the wish of one more process to lead in `results`.
    pub(crate) fn leadership(&self, holder: &str) -> Leadership {
        self.connection.leadership("projector.results".to_owned(), holder.to_owned())
    }

    /// Starts the service.
    pub(crate) fn serve(&self) -> Child {
        self.command(&["serve"]).spawn().unwrap()
    }

    /// Starts a second one.
    pub(crate) fn serve_beside(&self) -> Child {
        let mut command = self.command(&["serve"]);
        command.env("RUNLEDGER__HTTP__LISTEN", self.port_beside.address()).spawn().unwrap()
    }

    /// Runs another command of the binary to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let command = self.command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let output = tokio::time::timeout(PATIENCE, command.wait_with_output()).await;
        let output = output.unwrap().unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }

    /// Asks the service something over HTTP. `None` while it does not listen.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://{}{path}", self.port.address());
        let response = reqwest::get(url).await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Asks until the service gives this status.
    pub(crate) async fn wait_for(&self, service: &mut Child, path: &str, status: u16) -> String {
        let asking = async {
            loop {
                let ended = service.try_wait().unwrap();
                assert!(ended.is_none(), "the projector has ended: {ended:?}");
                match self.get(path).await {
                    Some((got, body)) if got == status => return body,
                    Some(_) | None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap()
    }

    /// Waits until both views hold every event up to `sequence`.
    pub(crate) async fn views_reach(&self, sequence: u64) {
        let asking = async {
            while self.results.store().position().await.unwrap().sequence() < sequence
                || self.progress.store().position().await.unwrap().sequence() < sequence
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap();
    }

    /// Asks until the service's metrics have a line that begins like this.
    pub(crate) async fn wait_for_metric(&self, beginning: &str) {
        let asking = async {
            loop {
                let told = self.get("/metrics").await.map(|(_, body)| body).unwrap_or_default();
                if told.lines().any(|line| line.starts_with(beginning)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("no {beginning}"));
    }

    /// Returns the names of the consumers that the ledger has now.
    pub(crate) async fn consumers(&self) -> Vec<String> {
        let url = format!("{}/jsz?consumers=true", self.nats.monitor_url());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        let streams = told["account_details"][0]["stream_detail"].as_array().unwrap();
        let ledger = streams.iter().find(|stream| stream["name"] == "LEDGER").unwrap();
        let consumers = ledger["consumer_detail"].as_array().into_iter().flatten();
        consumers.map(|consumer| consumer["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Stops the server of the ledger.
    pub(crate) fn stop_nats(&mut self) {
        self.nats.kill();
    }

    /// Removes what is left.
    pub(crate) async fn remove(self) {
        self.results.remove().await;
        self.progress.remove().await;
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
        command
            .args(arguments)
            .env("RUNLEDGER__HTTP__LISTEN", self.port.address())
            .env("RUNLEDGER__NATS__URL", self.nats.url())
            .env("RUNLEDGER__NATS__PASSWORD", password_of("projector"))
            .env("RUNLEDGER__SWEEP__PASSWORD", password_of("sweeper"))
            .env("RUNLEDGER__POSTGRES__URL", self.results.url())
            .env("RUNLEDGER__MONGO__URL", variable("RUNLEDGER_TEST_MONGO_URL"))
            .env("RUNLEDGER__MONGO__DATABASE", self.progress.documents.name())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }
}
