//! The whole executor as a process, on a real NATS server and a real Docker engine.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{PATIENT_WALL_TIME_MS, docker_host};
use events::envelope::Writer;
use events::event::{
    Accepted, CancellationRequested, Case, LanguageRef, LostReason, SourceFile, Suite,
};
use events::{
    BootId, Content, Digest, Event, IdSource, Lane, LimitPolicy, QueueName, State, StopCause,
    Submission, SubmissionId, Verdict,
};
use executor::cells::engine::DockerEngine;
use ledger::testing::small_streams;
use ledger::{Accepting, Connection, Ledger, NatsLogin};
use platform::clock::SystemClock;
use platform::ids::RandomIds;
use sandbox::languages::Catalog;
use servers::ClaimedPort;
use servers::testing::{NatsServer, TESTER, password_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A connection as one of the users of NATS.
async fn open_as(nats: &NatsServer, user: &str) -> Connection {
    let login = NatsLogin::new(user, &password_of(user).into());
    Connection::open(&nats.url(), &login, "test").await.unwrap()
}

/// A ledger, and the mark of an installation whose executors work on it.
struct World {
    nats: NatsServer,
    provisioner: Connection,
    connection: Connection,
    ledger: Ledger,
    engine: DockerEngine,
    host: String,
    writer: Writer,
}

impl World {
    async fn new() -> Self {
        let nats = NatsServer::start().await;
        let provisioner = open_as(&nats, "provisioner").await;
        let settings = small_streams(1, vec![nats.monitor_url()]);
        provisioner.provision(&settings, &RandomIds).await.unwrap();
        let connection = open_as(&nats, TESTER).await;
        let ledger = connection.ledger(Arc::new(SystemClock));
        let engine = DockerEngine::new(docker_host());
        engine.negotiate().await.expect("a Docker engine, by DOCKER_HOST");
        let writer = Writer {
            source: "/test".to_owned(),
            actor: "user:test".to_owned(),
            instance: BootId::new(RandomIds.new_id()),
            traceparent: None,
        };
        let host = format!("test-{}", RandomIds.new_id());
        Self { nats, provisioner, connection, ledger, engine, host, writer }
    }

    async fn executor(&self, grace_s: u32, ack_wait_s: u32) -> Executor {
        for queue in QueueName::of_pool(&"core".parse().unwrap()) {
            let ack_wait = Duration::from_secs(ack_wait_s.into());
            self.provisioner.queue().provision(&queue, ack_wait).await.unwrap();
        }
        let port = ClaimedPort::any().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_executor"))
            .env("RUNLEDGER__HTTP__LISTEN", port.address())
            .env("RUNLEDGER__NATS__URL", self.nats.url())
            .env("RUNLEDGER__NATS__MONITOR_URL", self.nats.monitor_url())
            .env("RUNLEDGER__NATS__PASSWORD", password_of("executor"))
            .env("RUNLEDGER__LOG__FORMAT", "text")
            .env("RUNLEDGER__DOCKER__HOST", docker_host())
            .env("RUNLEDGER__EXECUTOR__NAME", "under-test")
            .env("RUNLEDGER__EXECUTOR__HOST", &self.host)
            .env("RUNLEDGER__EXECUTOR__SHUTDOWN_GRACE_S", grace_s.to_string())
            .env("RUNLEDGER__CELLS__WARM_MIN", "3")
            .env("RUNLEDGER__CELLS__WARM_MAX", "3")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut executor = Executor { process, port };
        wait_until("ready", async || {
            let ended = executor.process.try_wait().unwrap();
            assert!(ended.is_none(), "the executor has ended: {ended:?}");
            executor.get("/health/ready").await.starts_with("HTTP/1.1 200")
        })
        .await;
        executor
    }

    async fn submit(&self, accepted: Accepted) -> SubmissionId {
        let id = SubmissionId::new(RandomIds.new_id());
        let accepting = self.ledger.accept(id, accepted, &self.writer).await.unwrap();
        assert!(matches!(accepting, Accepting::New(_)));
        id
    }

    async fn submission(&self, id: SubmissionId) -> Submission {
        let aggregate = self.ledger.load(id).await.unwrap().unwrap();
        assert_eq!(aggregate.violations, 0);
        aggregate.submission
    }

    async fn settled(&self, id: SubmissionId) -> Submission {
        wait_until("settled", async || self.submission(id).await.state.is_terminal()).await;
        self.submission(id).await
    }

    async fn running(&self, id: SubmissionId) {
        wait_until("running", async || self.submission(id).await.state == State::Running).await;
    }

    async fn containers(&self) -> usize {
        self.engine.list(&self.host).await.unwrap().len()
    }
}

struct Executor {
    process: Child,
    port: ClaimedPort,
}

impl Executor {
    /// The whole answer to a GET, or nothing while there is none.
    async fn get(&self, path: &str) -> String {
        let asked = async {
            let mut stream = TcpStream::connect(self.port.address()).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        asked.await.unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Tells it to stop, and waits until it has.
    async fn stop(mut self) {
        self.signal("-TERM");
        let ended = timeout(Duration::from_mins(5), self.process.wait()).await;
        assert!(ended.expect("it stops in time").unwrap().success());
    }

    /// Ends it without a word.
    async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }
}

/// Looks again and again, for some minutes at most.
async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !condition().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(4), looking)
        .await
        .unwrap_or_else(|_| panic!("it was never {what}"));
}

fn program(slug: &str, source: &str) -> Accepted {
    let catalog = Catalog::builtin();
    let language = catalog.find(slug).unwrap();
    Accepted {
        language: LanguageRef { slug: slug.parse().unwrap(), version: language.version.clone() },
        files: vec![SourceFile {
            name: language.source_file.parse().unwrap(),
            content: Content::Text(source.to_owned()),
        }],
        limits: events::Limits {
            wall_time_ms: PATIENT_WALL_TIME_MS,
            ..LimitPolicy::default().default
        },
        ..events::testing::accepted()
    }
}

fn judged(slug: &str, source: &str, cases: &[(&str, &str)]) -> Accepted {
    let case = |(stdin, expected): &(&str, &str)| Case {
        stdin: Content::Text((*stdin).to_owned()),
        expected: Content::Text((*expected).to_owned()),
        points: 1,
        name: None,
    };
    let cases: Vec<Case> = cases.iter().map(case).collect();
    let sha256 = Digest::of(&serde_json::to_vec(&cases).unwrap());
    Accepted {
        lane: Lane::Submit,
        suite: Some(Suite::Inline { cases, sha256 }),
        ..program(slug, source)
    }
}

fn outcome(submission: &Submission) -> &events::event::Completed {
    match &submission.outcome {
        Some(events::submission::Outcome::Completed(completed)) => completed,
        other => panic!("the outcome is {other:?}"),
    }
}

#[tokio::test]
async fn every_kind_of_program_gets_its_verdict_and_nothing_is_left_behind() {
    let world = World::new().await;
    let executor = world.executor(240, 3).await;
    let fork = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass";
    let eat = "x = bytearray(1 << 20)\nwhile True: x = x + x";
    let short = |cpu_time_ms, wall_time_ms, accepted: Accepted| {
        let limits = events::Limits { cpu_time_ms, wall_time_ms, ..accepted.limits };
        Accepted { limits, ..accepted }
    };
    let table = [
        (program("python", "print('hello')"), Verdict::Finished, None),
        (program("cpp", "int main() { return undeclared; }"), Verdict::CompileError, None),
        (program("c", "int main(void) { return 3; }"), Verdict::RuntimeError, None),
        (program("javascript", "console.log(1)"), Verdict::Finished, None),
        (program("bash", "echo hi"), Verdict::Finished, None),
        (
            short(500, PATIENT_WALL_TIME_MS, program("python", "while True: pass")),
            Verdict::TimeLimit,
            Some(StopCause::CpuTime),
        ),
        (
            short(500, 1_000, program("python", "import time; time.sleep(60)")),
            Verdict::TimeLimit,
            Some(StopCause::WallTime),
        ),
        (program("python", eat), Verdict::MemoryLimit, Some(StopCause::Memory)),
        (
            program("python", "while True: print('x' * 4096)"),
            Verdict::OutputLimit,
            Some(StopCause::Output),
        ),
        (short(500, 3_000, program("python", fork)), Verdict::TimeLimit, None),
        (
            judged("python", "print(int(input()) * 2)", &[("1", "2"), ("2", "4\n"), ("3", "7")]),
            Verdict::WrongAnswer,
            None,
        ),
    ];
    let mut ids = Vec::new();
    for (accepted, verdict, stop) in table {
        ids.push((world.submit(accepted).await, verdict, stop));
    }
    for (number, (id, verdict, stop)) in ids.into_iter().enumerate() {
        let submission = world.settled(id).await;
        assert_eq!(submission.verdict(), Some(verdict), "program {number}: {submission:?}");
        if stop.is_some() {
            assert_eq!(outcome(&submission).stopped_by, stop, "program {number}");
        }
        assert_eq!(submission.attempts.len(), 1, "program {number}");
    }
    let metrics = executor.get("/metrics").await;
    assert!(
        metrics.contains("ledger_runs_total{language=\"python\",verdict=\"memory_limit\"} 1"),
        "{metrics}"
    );
    executor.stop().await;
    assert_eq!(world.containers().await, 0);
}

#[tokio::test]
async fn a_cancelled_program_is_stopped_at_once() {
    let world = World::new().await;
    let executor = world.executor(240, 180).await;
    let id = world.submit(program("python", "import time; time.sleep(200)")).await;
    world.running(id).await;
    let mut aggregate = world.ledger.load(id).await.unwrap().unwrap();
    let request = CancellationRequested { by: "user:test".to_owned(), reason: None };
    let requested = Event::CancellationRequested(request);
    world.ledger.execute(&mut aggregate, requested, &world.writer).await.unwrap();
    world.connection.presence().announce_cancellation(&aggregate.subject).await.unwrap();
    let settled = timeout(Duration::from_secs(30), world.settled(id)).await;
    assert_eq!(settled.expect("nobody waited for a heartbeat").state, State::Cancelled);
    executor.stop().await;
}

#[tokio::test]
async fn what_runs_at_the_stop_is_finished_or_handed_back() {
    let world = World::new().await;
    let executor = world.executor(240, 3).await;
    let nap = "import time; time.sleep(1); print('done')";
    let finished = world.submit(program("python", nap)).await;
    world.running(finished).await;
    executor.stop().await;
    assert_eq!(world.submission(finished).await.verdict(), Some(Verdict::Finished));
    assert_eq!(world.containers().await, 0);

    let hasty = world.executor(0, 3).await;
    let handed_back = world.submit(program("python", nap)).await;
    world.running(handed_back).await;
    hasty.stop().await;
    let lost = world.submission(handed_back).await.attempts[0].lost.unwrap();
    assert_eq!(lost.reason, LostReason::HandedBack);
    assert_eq!(world.containers().await, 0);

    let next = world.executor(240, 3).await;
    let settled = world.settled(handed_back).await;
    assert_eq!((settled.verdict(), settled.attempts.len()), (Some(Verdict::Finished), 2));
    next.stop().await;
}

#[tokio::test]
async fn what_a_killed_executor_ran_is_run_again_and_its_cells_are_removed() {
    let world = World::new().await;
    let first = world.executor(240, 3).await;
    let id = world.submit(program("python", "import time; time.sleep(5); print('done')")).await;
    world.running(id).await;
    first.kill().await;
    assert!(world.containers().await > 0);
    let second = world.executor(240, 3).await;
    let settled = world.settled(id).await;
    assert_eq!(settled.verdict(), Some(Verdict::Finished));
    assert_eq!(settled.attempts[0].lost.unwrap().reason, LostReason::ExecutorGone);
    assert_eq!(settled.attempts.len(), 2);
    // Cells, holders and a spare or two of its own: what the first one left is gone when no dead
    // life is listed.
    let mine = settled.attempts[1].boot_id;
    wait_until("cleaned", async || {
        let listed = world.engine.list(&world.host).await.unwrap();
        listed.iter().all(|found| found.boot == Some(mine))
    })
    .await;
    second.stop().await;
    assert_eq!(world.containers().await, 0);
}

#[test]
fn the_configuration_can_be_checked_without_starting() {
    let run = |variable: &str, value: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_executor"))
            .arg("--check-config")
            .env("RUNLEDGER__NATS__PASSWORD", password_of("executor"))
            .env(variable, value)
            .output()
            .unwrap()
    };
    assert!(run("RUNLEDGER__EXECUTOR__NAME", "ok").status.success());
    let bad = run("RUNLEDGER__EXECUTOR__ATTEMPTS_MAX", "99");
    assert!(!bad.status.success());
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(said.contains("RUNLEDGER__EXECUTOR__ATTEMPTS_MAX"), "{said}");
}
