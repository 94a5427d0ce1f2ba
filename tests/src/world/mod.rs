//! A whole Runledger for one test: its own nats-server, its own databases, our services, an edge. A
//! test can kill, stop and start each part by name. Everything ends with the test.

mod builder;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{ConnectOptions, jetstream};
use futures::future::try_join_all;
use rustix::process::Signal;
use servers::Server;
use servers::nats::Nats;
use servers::nginx::Nginx;
use servers::service::RunledgerService;
use servers::testing::{DivisibleCluster, TestServer, TiedProcess, password_of};
use tempfile::TempDir;

use crate::cells::Cells;
use crate::client::TestClient;
use crate::servers::engine::Engine;
use crate::servers::mongo::ProgressDatabase;
use crate::servers::nats::LedgerServers;
use crate::servers::postgres::ResultsDatabase;
use crate::services::{Settings, environment, nats_passwords};
use crate::tokens::Secret;
use crate::tools::Tools;

pub use builder::WorldBuilder;

/// How long a service may take to finish what it holds.
const STOP_PATIENCE: Duration = Duration::from_mins(5);

/// A running world.
#[derive(Debug)]
pub struct World {
    services: BTreeMap<String, TestServer<RunledgerService>>,
    edge: Option<TestServer<Nginx>>,
    mongo: ProgressDatabase,
    postgres: ResultsDatabase,
    nats: LedgerServers,
    cells: Cells,
    engine: Option<Engine>,
    secret: Secret,
    dir: TempDir,
}

/// Ends a service, which has to end well unless the test has killed it.
async fn end(service: &mut TestServer<RunledgerService>) -> Result<()> {
    if !service.process.is_running() {
        return Ok(());
    }
    let status = service.process.stop(STOP_PATIENCE).await?;
    ensure!(status.success(), "{}", service.process.described(&format!("ended with {status}")));
    Ok(())
}

async fn ready<S>(server: Option<&TestServer<S>>, name: &str) -> Result<()>
where
    S: Server + Clone + Send + 'static,
{
    server.with_context(|| format!("this world has no {name} of its own"))?.ready().await
}

impl World {
    /// Runs a command of the projector to its end, as an operator does.
    pub async fn projector(&self, arguments: &[&str]) -> Result<()> {
        self.run_projector(&Tools::from_env()?, arguments).await
    }

    fn common_settings(&self, tools: &Tools) -> Result<Settings> {
        let settings = [
            ("NATS__URL", self.nats.urls().join(",")),
            ("NATS__MONITOR_URL", self.nats.monitor_urls().join(",")),
            ("POSTGRES__URL", self.postgres.url()?),
            ("MONGO__URL", self.mongo.url().to_owned()),
            ("MONGO__DATABASE", self.mongo.database.clone()),
            ("AUTH__HS256_SECRET", self.secret.text().to_owned()),
            ("DOCKER__HOST", tools.docker_host.clone()),
            // Streams reserve their disk, and tests fill none of it.
            ("STREAMS__LEDGER_BYTES_MAX", (256 << 20).to_string()),
            ("STREAMS__OBJECTS_BYTES_MAX", (128 << 20).to_string()),
        ];
        Ok(settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    async fn run_projector(&self, tools: &Tools, arguments: &[&str]) -> Result<()> {
        let mut command = tokio::process::Command::new(tools.bin_dir.join("projector"));
        let settings = [self.common_settings(tools)?, nats_passwords("projector")].concat();
        command.args(arguments).env_clear().envs(environment(&settings));
        let output = command.output().await.context("run the projector")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(output.status.success(), "projector {}: {said}", arguments.join(" "));
        Ok(())
    }

    /// Returns a service by name.
    pub fn service(&self, name: &str) -> Result<&RunledgerService> {
        let service = self.services.get(name).with_context(|| format!("this world has no {name}"));
        Ok(&service?.server)
    }

    /// Returns the event bus.
    pub fn nats(&self) -> Result<&Nats> {
        let single = self.nats.single().context("this world has a cluster of servers")?;
        Ok(&single.server)
    }

    /// Returns the cluster that has the ledger.
    pub fn cluster(&self) -> Result<&DivisibleCluster> {
        self.nats.divisible().context("this world has no cluster")
    }

    /// Returns where its files are.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks a service what operators ask: its health or its metrics. Returns status and text.
    pub async fn asked(&self, service: &str, path: &str) -> Result<(u16, String)> {
        let url = format!("{}{path}", self.service(service)?.url());
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Connects to the event bus as one of its users.
    pub async fn nats_client(&self, user: &str) -> Result<async_nats::Client> {
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password_of(user));
        let options = options.custom_inbox_prefix(format!("_INBOX_{user}"));
        options.connect(self.nats.urls()).await.context("connect to NATS")
    }

    /// Connects to the streams as an operator who looks.
    pub async fn viewer(&self) -> Result<jetstream::Context> {
        Ok(jetstream::with_domain(self.nats_client("viewer").await?, "view"))
    }

    /// Returns the results store.
    pub fn postgres(&self) -> &ResultsDatabase {
        &self.postgres
    }

    /// Returns the progress store.
    pub fn mongo(&self) -> &ProgressDatabase {
        &self.mongo
    }

    /// Returns the edge.
    pub fn edge(&self) -> Result<&Nginx> {
        Ok(&self.edge.as_ref().context("this world has no edge")?.server)
    }

    /// Returns the containers of this world's executors.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Returns what signs tokens.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns a client of the edge with the scope `submit`.
    pub fn user(&self, sub: &str) -> Result<TestClient> {
        self.client(sub, "submit")
    }

    /// Returns a client of the edge with these scopes.
    pub fn client(&self, sub: &str, scope: &str) -> Result<TestClient> {
        TestClient::new(&self.edge()?.url(), Some(self.secret.token(sub, scope)?))
    }

    fn engine(&self) -> Result<&Engine> {
        self.engine.as_ref().context("this world has no engine of its own")
    }

    pub(crate) fn process(&mut self, name: &str) -> Result<&mut TiedProcess> {
        let process = match name {
            "nats" => self.nats.single_mut().map(|server| &mut server.process),
            "postgres" => self.postgres.server.as_mut().map(|server| &mut server.process),
            "mongod" => self.mongo.server.as_mut().map(|server| &mut server.process),
            "edge" => self.edge.as_mut().map(|edge| &mut edge.process),
            service => self.services.get_mut(service).map(|service| &mut service.process),
        };
        process.with_context(|| format!("this world has no {name} of its own"))
    }

    /// Kills a part with SIGKILL.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        if name == "docker" {
            return self.engine()?.kill();
        }
        self.process(name)?.kill()
    }

    /// Sends a part a signal, such as SIGSTOP.
    pub fn signal(&mut self, name: &str, signal: Signal) -> Result<()> {
        self.process(name)?.signal(signal)
    }

    /// Returns the most memory that a part has had at once, in KiB.
    pub fn resident_kib_max(&mut self, name: &str) -> Result<u64> {
        let pid = self.process(name)?.identity()?.pid;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let line = line.context("the kernel does not tell the memory of a process")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Asks a part to end, and waits until it has.
    pub async fn stop(&mut self, name: &str) -> Result<ExitStatus> {
        self.process(name)?.stop(STOP_PATIENCE).await
    }

    /// Starts a part that does not run, and waits until it is ready.
    pub async fn start(&mut self, name: &str) -> Result<()> {
        if name == "docker" {
            return self.engine()?.restart().await;
        }
        self.process(name)?.start()?;
        self.ready(name).await
    }

    /// Starts a service anew with another value of a setting, as an operator does.
    pub async fn restart_with(&mut self, name: &str, key: &str, value: impl Display) -> Result<()> {
        self.stop(name).await?;
        let part = self.services.get_mut(name);
        let part = part.with_context(|| format!("this world has no {name}"))?;
        // The last of two values of a variable counts.
        part.server.env.push((format!("RUNLEDGER__{key}"), value.to_string().into()));
        part.process = TiedProcess::new(name, part.server.prepare()?, self.dir.path());
        self.start(name).await
    }

    /// Waits until a part is ready.
    pub async fn ready(&self, name: &str) -> Result<()> {
        match name {
            "nats" => self.nats.ready().await,
            "postgres" => ready(self.postgres.server.as_ref(), name).await,
            "mongod" => ready(self.mongo.server.as_ref(), name).await,
            "edge" => ready(self.edge.as_ref(), name).await,
            service => ready(self.services.get(service), name).await,
        }
    }

    /// Waits until every service is ready, after a server was away.
    pub async fn all_ready(&self) -> Result<()> {
        try_join_all(self.services.values().map(TestServer::ready)).await?;
        Ok(())
    }

    /// Returns what a part has logged.
    pub fn log(&mut self, name: &str) -> Result<String> {
        self.process(name)?.log()
    }

    /// Ends every service in an orderly way, which has to leave no container behind.
    async fn end(&mut self) -> Result<()> {
        try_join_all(self.services.values_mut().map(end)).await?;
        self.nothing_left().await?;
        self.cells.are_clean();
        self.postgres.drop_database().await?;
        self.mongo.drop_database().await
    }

    /// Checks that executors that were told to end have left no container behind.
    pub async fn nothing_left(&self) -> Result<()> {
        let left = self.cells.list().await?;
        ensure!(left.is_empty(), "executors left containers behind: {left:?}");
        Ok(())
    }

    fn logs(&self) -> String {
        let services = self.services.values().map(|service| &service.process);
        let postgres = self.postgres.server.as_ref().map(|server| &server.process);
        let mongo = self.mongo.server.as_ref().map(|server| &server.process);
        let all = services
            .chain(self.nats.single().map(|server| &server.process))
            .chain(postgres)
            .chain(mongo);
        let ends = all.map(|process| process.described("was part of this world"));
        ends.collect::<Vec<_>>().join("\n")
    }

    /// Leaves the files on disk and returns where.
    fn keep(&mut self) -> String {
        self.dir.disable_cleanup(true);
        self.dir.path().display().to_string()
    }
}
