//! The binary as an operator runs it, on a real nats-server that the test starts itself.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::process::{Output, Stdio};
use std::time::Duration;

use events::QueueName;
use ledger::{Connection, NatsLogin};
use reqwest::StatusCode;
use servers::ClaimedPort;
use servers::testing::{NatsServer, ServerOptions, TESTER, password_of};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);

fn command(nats: &NatsServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisioner"));
    command
        .env("RUNLEDGER__NATS__URL", nats.url())
        .env("RUNLEDGER__NATS__PASSWORD", password_of("provisioner"))
        .env("RUNLEDGER__NATS__MONITOR_URL", nats.monitor_url())
        .env("RUNLEDGER__STREAMS__LEDGER_BYTES_MAX", "67108864")
        .env("RUNLEDGER__STREAMS__OBJECTS_BYTES_MAX", "67108864")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Output {
    timeout(DEADLINE, command.output()).await.unwrap().unwrap()
}

/// Looks as an operator does.
async fn look(nats: &NatsServer) -> Connection {
    let login = NatsLogin::new(TESTER, &password_of(TESTER).into());
    Connection::open(&nats.url(), &login, "test").await.unwrap()
}

#[tokio::test]
async fn once_makes_everything_and_ends() {
    let nats = NatsServer::start().await;
    for _ in 0..2 {
        let made = ended(command(&nats)).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let connection = look(&nats).await;
    connection.ready().await.unwrap();
    for queue in QueueName::of_pool(&"core".parse().unwrap()) {
        let status = connection.queue().status(&queue).await.unwrap();
        assert_eq!(status.unwrap().ack_wait, Duration::from_secs(8), "{queue}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_refused_with_the_line_to_add_in_both_ways() {
    let options = ServerOptions { sync_always: false, ..ServerOptions::default() };
    let nats = NatsServer::start_with(&options).await;
    let once = command(&nats);
    let mut keep = command(&nats);
    keep.arg("--keep").env("RUNLEDGER__HTTP__LISTEN", "127.0.0.1:0");
    for command in [once, keep] {
        let refused = ended(command).await;
        assert!(!refused.status.success());
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains("add `sync_interval: always`"), "{told}");
    }
    look(&nats).await.ready().await.unwrap_err();
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_refused_with_what_to_lower() {
    let nats = NatsServer::start().await;
    let mut command = command(&nats);
    command.env("RUNLEDGER__STREAMS__LEDGER_BYTES_MAX", (1_u64 << 50).to_string());
    let refused = ended(command).await;
    assert!(!refused.status.success());
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("lower `[streams] ledger_bytes_max`"), "{told}");
}

/// A provisioner that stays, and what it says of itself.
struct Keeping {
    process: Child,
    port: ClaimedPort,
}

impl Keeping {
    fn start(nats: &NatsServer) -> Self {
        let port = ClaimedPort::any().unwrap();
        let mut command = command(nats);
        command.arg("--keep").env("RUNLEDGER__HTTP__LISTEN", port.address());
        command.env("RUNLEDGER__QUEUES__CHECK_EVERY_S", "1");
        let process = command.stderr(Stdio::null()).spawn().unwrap();
        Self { process, port }
    }

    async fn becomes(&mut self, status: StatusCode) {
        self.becomes_and_says(status, "").await;
    }

    /// Waits for a status whose text contains this.
    async fn becomes_and_says(&mut self, status: StatusCode, text: &str) {
        let answered = async {
            loop {
                let ended = self.process.try_wait().unwrap();
                assert!(ended.is_none(), "it has ended: {ended:?}");
                if let Ok((found, said)) = self.ask().await
                    && found == status
                    && said.contains(text)
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let answered = timeout(DEADLINE, answered).await;
        answered.unwrap_or_else(|_| panic!("it never said {status} {text}"));
    }

    async fn ask(&self) -> reqwest::Result<(StatusCode, String)> {
        let answer = reqwest::get(format!("http://{}/health/ready", self.port.address())).await?;
        Ok((answer.status(), answer.text().await?))
    }
}

#[tokio::test]
async fn one_that_stays_waits_for_nats_and_says_when_it_is_away() {
    let mut nats = NatsServer::start().await;
    nats.kill();
    let mut keeping = Keeping::start(&nats);
    keeping.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    nats.restart().await;
    keeping.becomes(StatusCode::OK).await;
    look(&nats).await.ready().await.unwrap();
    nats.kill();
    keeping.becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    nats.restart().await;
    keeping.becomes(StatusCode::OK).await;
}

#[tokio::test]
async fn one_that_stays_makes_no_new_ledger_where_one_was() {
    let mut nats = NatsServer::start().await;
    // A copy of a store without any stream.
    nats.save();
    nats.restart().await;
    let mut keeping = Keeping::start(&nats);
    keeping.becomes(StatusCode::OK).await;
    nats.set_back();
    nats.restart().await;
    keeping.becomes_and_says(StatusCode::SERVICE_UNAVAILABLE, "LEDGER is missing").await;
    look(&nats).await.ready().await.unwrap_err();
    // An operator who decides to begin anew.
    let made = ended(command(&nats)).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    keeping.becomes(StatusCode::OK).await;
    look(&nats).await.ready().await.unwrap();
}
