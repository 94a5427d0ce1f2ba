//! The binary as an operator runs it, on a real nats-server that the test starts itself.

use std::process::Stdio;
use std::time::Duration;

use events::{BootId, Clock};
use ledger::testing::small_streams;
use ledger::{Connection, NatsLogin};
use platform::auth::{Claims, mint};
use platform::clock::SystemClock;
use platform::config::TokenSecret;
use platform::ids::RandomIds;
use reqwest::StatusCode;
use serde_json::Value;
use servers::ClaimedPort;
use servers::testing::{NatsServer, ServerOptions, password_of};
use tokio::process::{Child, Command};

use crate::support::{every_language, hello};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const DEADLINE: Duration = Duration::from_mins(1);

/// A connection as one of the users of NATS.
async fn open_as(nats: &NatsServer, user: &str) -> Connection {
    let login = NatsLogin::new(user, &password_of(user).into());
    Connection::open(&nats.url(), &login, "test").await.unwrap()
}

/// A server on which the provisioner has made everything.
async fn provisioned() -> NatsServer {
    let nats = NatsServer::start().await;
    provision(&nats).await;
    nats
}

async fn provision(nats: &NatsServer) {
    let settings = small_streams(1, vec![nats.monitor_url()]);
    open_as(nats, "provisioner").await.provision(&settings, &RandomIds).await.unwrap();
}

/// A process of the service, killed when dropped.
struct Service {
    process: Child,
    url: String,
    http: reqwest::Client,
    _port: ClaimedPort,
}

impl Service {
    fn start(nats: &NatsServer) -> Self {
        let port = ClaimedPort::any().unwrap();
        let listen = port.address();
        let process = command(nats).env("RUNLEDGER__HTTP__LISTEN", &listen).spawn().unwrap();
        let (url, http) = (format!("http://{listen}"), reqwest::Client::new());
        Self { process, url, http, _port: port }
    }

    /// Asks until the answer has this status.
    async fn wait_for(&mut self, path: &str, status: StatusCode) {
        let answered = async {
            loop {
                let ended = self.process.try_wait().unwrap();
                assert!(ended.is_none(), "the service has ended: {ended:?}");
                let answer = self.http.get(format!("{}{path}", self.url)).send().await;
                if answer.is_ok_and(|answer| answer.status() == status) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, answered).await.expect(path);
    }

    async fn submit(&self) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/v1/submissions", self.url)).bearer_auth(token());
        let answer = request.json(&hello()).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Submits until it is accepted, while an executor says that it has every language.
    async fn submit_with_executor(&self, nats: &NatsServer) -> Value {
        let executor = open_as(nats, "executor").await.offers();
        let accepted = async {
            loop {
                let (status, body) = self.submit().await;
                if status == StatusCode::ACCEPTED {
                    return body;
                }
                assert_eq!(body["type"], "/problems/not-offered");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let boot = BootId::new(uuid::Uuid::from_u128(1));
        tokio::select! {
            never = executor.keep_putting(boot, every_language()) => match never {},
            accepted = tokio::time::timeout(DEADLINE, accepted) => accepted.unwrap(),
        }
    }

    /// Tells it to stop, and waits until it has.
    async fn stop(mut self) {
        let pid = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(sent.unwrap().success());
        let ended = tokio::time::timeout(DEADLINE, self.process.wait()).await;
        assert!(ended.unwrap().unwrap().success());
    }
}

fn command(nats: &NatsServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_command-api"));
    command
        .env("RUNLEDGER__NATS__URL", nats.url())
        .env("RUNLEDGER__NATS__PASSWORD", password_of("command-api"))
        .env("RUNLEDGER__NATS__MONITOR_URL", nats.monitor_url())
        .env("RUNLEDGER__AUTH__HS256_SECRET", SECRET)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

fn token() -> String {
    let now = u64::try_from(SystemClock.now().timestamp()).unwrap();
    let claims = Claims {
        sub: "ada".to_owned(),
        scope: "submit".to_owned(),
        exp: now + 60,
        iat: now,
        nbf: None,
        iss: None,
        aud: None,
    };
    mint(&TokenSecret::try_from(SECRET.to_owned()).unwrap(), &claims).unwrap()
}

#[tokio::test]
async fn it_waits_for_nats_and_for_the_provisioner_and_stops_when_told() {
    let mut nats = NatsServer::start().await;
    nats.kill();
    let mut service = Service::start(&nats);
    service.wait_for("/health/live", StatusCode::OK).await;
    service.wait_for("/health/ready", StatusCode::SERVICE_UNAVAILABLE).await;
    let (status, problem) = service.submit().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["detail"], "the service is starting");
    nats.restart().await;
    let health = reqwest::get(format!("{}/health/ready", service.url)).await.unwrap();
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    let health = health.text().await.unwrap();
    assert!(health.contains("the provisioner makes them"), "{health}");
    provision(&nats).await;
    service.wait_for("/health/ready", StatusCode::OK).await;
    let (status, problem) = service.submit().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["type"], "/problems/not-offered");
    assert_eq!(service.submit_with_executor(&nats).await["sequence"], 1);
    let metrics = service.http.get(format!("{}/metrics", service.url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("ledger_submissions_accepted_total{lane=\"run\",priority=\"normal\"} 1"),
        "{metrics}"
    );
    service.stop().await;
}

#[tokio::test]
async fn what_was_accepted_is_there_after_both_were_killed() {
    let mut nats = provisioned().await;
    let mut service = Service::start(&nats);
    service.wait_for("/health/ready", StatusCode::OK).await;
    let first = service.submit_with_executor(&nats).await;
    nats.kill();
    service.process.kill().await.unwrap();
    nats.restart().await;
    let mut service = Service::start(&nats);
    service.wait_for("/health/ready", StatusCode::OK).await;
    // What the executor has was on the disk, too.
    let (status, second) = service.submit().await;
    assert_eq!((status, &first["sequence"]), (StatusCode::ACCEPTED, &Value::from(1)));
    assert_eq!(second["sequence"], 2);
    service.stop().await;
}

#[tokio::test]
async fn a_ledger_that_does_not_sync_is_refused_with_the_line_to_add() {
    let options = ServerOptions { sync_always: false, ..ServerOptions::default() };
    let nats = NatsServer::start_with(&options).await;
    let mut command = command(&nats);
    command.env("RUNLEDGER__HTTP__LISTEN", "127.0.0.1:0").stderr(Stdio::piped());
    let ended = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    assert!(!ended.status.success());
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains("add `sync_interval: always`"), "{told}");
}

#[tokio::test]
async fn a_server_that_comes_back_without_syncing_closes_admission_until_it_syncs() {
    let mut nats = provisioned().await;
    let mut service = Service::start(&nats);
    service.wait_for("/health/ready", StatusCode::OK).await;
    service.submit_with_executor(&nats).await;
    nats.sync_always(false);
    nats.restart().await;
    service.wait_for("/health/durability", StatusCode::SERVICE_UNAVAILABLE).await;
    let (status, problem) = service.submit().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("acknowledges before it syncs"), "{detail}");
    nats.sync_always(true);
    nats.restart().await;
    service.wait_for("/health/ready", StatusCode::OK).await;
    assert_eq!(service.submit().await.0, StatusCode::ACCEPTED);
    service.stop().await;
}

/// Returns how many connections the server has ever had.
async fn connections(nats: &NatsServer) -> Value {
    let answer = reqwest::get(format!("{}/varz", nats.monitor_url())).await.unwrap();
    answer.json::<Value>().await.unwrap()["total_connections"].take()
}

#[tokio::test]
async fn a_copy_whose_address_is_taken_ends_before_it_touches_the_ledger() {
    let nats = NatsServer::start().await;
    let before = connections(&nats).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let mut command = command(&nats);
    command.env("RUNLEDGER__HTTP__LISTEN", &listen).stderr(Stdio::piped());
    let ended = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    assert!(!ended.status.success());
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains(&format!("cannot listen on {listen}")), "{told}");
    assert_eq!(connections(&nats).await, before);
}
