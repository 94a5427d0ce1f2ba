//! What the launcher promises about real servers. `cargo dev test` names their programs.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use servers::kill::kill_with_descendants;
use servers::mongo::Mongo;
use servers::nats::Nats;
use servers::postgres::Postgres;
use servers::program::Lifetime;
use servers::ready::wait_until_ready;
use servers::testing::{NatsServer, TestServer, test_passwords, workspace_root};
use servers::{ClaimedPort, ProcessIdentity, Program, Server, files};

/// Far below the patience of a start, and long for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment what to start")]
fn program(variable: &str) -> PathBuf {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set")).into()
}

fn postgres(dir: &Path, port: &ClaimedPort) -> Postgres {
    files::make_public(dir).unwrap();
    Postgres {
        programs: program("RUNLEDGER_TEST_POSTGRES_BIN_DIR"),
        data: dir.join("postgres"),
        sockets: None,
        port: port.number(),
        settings: &[("shared_buffers", "32MB")],
        owner: "owner".to_owned(),
        database: "mine".to_owned(),
    }
}

/// A program that ends at its start, after some last words.
#[derive(Clone, Debug)]
struct Doomed;

impl Server for Doomed {
    fn prepare(&self) -> anyhow::Result<Program> {
        Ok(Program::new("/bin/sh").args(["-c", "echo cannot bind the port >&2; exit 3"]))
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::bail!("no answer")
    }
}

#[tokio::test]
async fn a_server_that_ends_at_its_start_is_told_at_once_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut doomed = TestServer::new("doomed", Doomed, Vec::new(), dir.path()).unwrap();
    let begun = Instant::now();

    let error = format!("{:#}", doomed.start().await.unwrap_err());

    assert!(begun.elapsed() < AT_ONCE);
    assert!(error.contains("ended") && error.contains("cannot bind the port"), "{error}");
}

#[tokio::test]
async fn a_server_whose_port_was_taken_in_between_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let ports = [(); 2].map(|()| ClaimedPort::any().unwrap());
    let [address, monitor_address] = ports.each_ref().map(ClaimedPort::address);
    // Only a program that insists on this very port gets it in spite of the claim.
    let thief = TcpListener::bind(&monitor_address).unwrap();
    let server = Nats {
        program: program("RUNLEDGER_TEST_NATS_SERVER"),
        config: workspace_root().join("deploy/nats/nats.conf"),
        name: None,
        address,
        monitor_address,
        store: dir.path().join("data"),
        passwords: test_passwords(),
    };
    let mut robbed = TestServer::new("robbed", server, ports.into(), dir.path()).unwrap();
    let begun = Instant::now();

    let error = format!("{:#}", robbed.start().await.unwrap_err());

    assert!(begun.elapsed() < AT_ONCE);
    assert!(error.contains("address already in use"), "{error}");
    drop(thief);
}

#[tokio::test]
async fn a_server_keeps_its_port_over_a_restart_while_others_look_for_ports() {
    let mut server = NatsServer::start().await;
    let url = server.url();

    server.kill();
    let others: Vec<ClaimedPort> = (0..100).map(|_| ClaimedPort::any().unwrap()).collect();
    server.restart().await;

    assert_eq!(server.url(), url);
    assert!(others.iter().all(|port| !url.ends_with(&port.address())));
}

#[test]
fn postgres_starts_again_right_after_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let port = ClaimedPort::any().unwrap();
    let server = postgres(dir.path(), &port);
    let log = dir.path().join("postgres.log");

    for _ in 0..4 {
        let program = server.prepare().unwrap();
        let path = [("PATH", "/usr/bin:/bin")];
        let mut child = program.spawn(Lifetime::Thread, &log, path).unwrap();
        let process = ProcessIdentity::of_child(&child).unwrap();
        let ready = wait_until_ready(&server, &process, Duration::from_mins(2), || Ok(()));
        ready.unwrap_or_else(|error| panic!("{error:#}\n{}", servers::log::tail(&log)));
        assert_eq!(server.table_bytes().unwrap(), 0);
        // A client's backend is one more process that holds the server's memory.
        let client = TcpStream::connect(port.address()).unwrap();
        kill_with_descendants(&process).unwrap();
        child.wait().unwrap();
        drop(client);
    }
}

#[tokio::test]
async fn a_fresh_mongod_becomes_a_primary_again_on_another_port() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let port = ClaimedPort::any().unwrap();
        let server = Mongo {
            program: program("RUNLEDGER_TEST_MONGOD"),
            config: dir.path().join("mongod.conf"),
            data: dir.path().join("mongo"),
            port: port.number(),
            oplog_mb: 64,
        };
        let name = format!("mongod-{round}");
        let mut server = TestServer::new(&name, server, vec![port], dir.path()).unwrap();
        server.start().await.unwrap();
        let sizes = ["absent", "admin"].map(|name| server.server.database_bytes(name).unwrap());
        assert!(sizes[0] == 0 && sizes[1] > 0, "{sizes:?}");
        server.process.stop(Duration::from_mins(1)).await.unwrap();
    }
}
