//! A whole Runledger for one test: its own nats-server, its own databases, our services, an edge. A
//! test can kill, stop and start each part by name. Everything ends with the test.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::jetstream;
use events::IdSource;
use futures::future::try_join_all;
use platform::ids::RandomIds;
use rustix::process::Signal;
use serde_json::json;
use servers::Server;
use servers::nats::Nats;
use servers::nginx::Nginx;
use servers::service::RunledgerService;
use servers::testing::{TestServer, TiedProcess};
use tempfile::TempDir;

use crate::cells::Cells;
use crate::client::TestClient;
use crate::servers::engine::Engine;
use crate::servers::mongo::ProgressDatabase;
use crate::servers::postgres::ResultsDatabase;
use crate::servers::{edge, nats};
use crate::services::{SINGLES, Settings, environment, service};
use crate::tokens::Secret;
use crate::tools::Tools;

/// How long a service may take to finish what it holds.
const STOP_PATIENCE: Duration = Duration::from_mins(5);

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    executors: usize,
    edge: bool,
    private_databases: bool,
    private_engine: bool,
    settings: Settings,
    /// Settings of single executors, by number.
    executor_settings: Vec<(usize, (String, String))>,
}

/// A running world.
#[derive(Debug)]
pub struct World {
    services: BTreeMap<String, TestServer<RunledgerService>>,
    edge: Option<TestServer<Nginx>>,
    mongo: ProgressDatabase,
    postgres: ResultsDatabase,
    nats: TestServer<Nats>,
    cells: Cells,
    engine: Option<Engine>,
    secret: Secret,
    dir: TempDir,
}

impl Default for WorldBuilder {
    /// Every service, one executor, databases and engine the shared ones, no edge.
    fn default() -> Self {
        Self {
            executors: 1,
            edge: false,
            private_databases: false,
            private_engine: false,
            settings: Settings::new(),
            executor_settings: Vec::new(),
        }
    }
}

impl WorldBuilder {
    /// Takes this many executors; with none, submissions are accepted all the same, and stay in the
    /// queue.
    #[must_use]
    pub fn executors(self, executors: usize) -> Self {
        Self { executors, ..self }
    }

    /// Puts nginx in front.
    #[must_use]
    pub fn edge(self) -> Self {
        Self { edge: true, ..self }
    }

    /// Starts databases of its own, which can be killed.
    #[must_use]
    pub fn private_databases(self) -> Self {
        Self { private_databases: true, ..self }
    }

    /// Starts a Docker engine of its own, which can be killed.
    #[must_use]
    pub fn private_engine(self) -> Self {
        Self { private_engine: true, ..self }
    }

    /// Sets `SECTION__KEY` of every service that has it.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl Display) -> Self {
        self.settings.push((key.to_owned(), format!("{value}")));
        self
    }

    /// Sets `SECTION__KEY` of one executor, counted from 1; this stands above what every service
    /// has.
    #[must_use]
    pub fn executor_setting(mut self, number: usize, key: &str, value: impl Display) -> Self {
        self.executor_settings.push((number, (key.to_owned(), format!("{value}"))));
        self
    }

    /// Builds the world, plays the scenario in it, and takes it down. If the scenario fails, the
    /// error shows the logs and where they are kept.
    pub async fn play(self, scenario: impl AsyncFnOnce(&mut World) -> Result<()>) -> Result<()> {
        let mut world = self.start().await?;
        let played = match scenario(&mut world).await {
            Ok(()) => world.end().await,
            Err(error) => Err(error),
        };
        played.map_err(|error| {
            let (logs, kept) = (world.logs(), world.keep());
            anyhow!("{error:?}\nThe world's files are in {kept}.\n{logs}")
        })
    }

    async fn start(self) -> Result<World> {
        let mut tools = Tools::from_env()?;
        let dir = tempfile::Builder::new().prefix("runledger-world-").tempdir()?;
        let engine = if self.private_engine {
            let engine = Engine::start(&tools, dir.path()).await?;
            tools.docker_host = engine.host()?;
            Some(engine)
        } else {
            None
        };
        let id = RandomIds.new_id().simple().to_string();
        let mut nats = nats(&tools, dir.path())?;
        nats.process.start()?;
        let (postgres, mongo) = self.databases(&tools, dir.path(), &format!("world_{id}")).await?;
        nats.ready().await?;
        let secret = Secret::new(id.repeat(2))?;
        let cells = Cells::connect(&tools.docker_host, &id)?;
        let mut world = World {
            services: BTreeMap::new(),
            edge: None,
            mongo,
            postgres,
            nats,
            cells,
            engine,
            secret,
            dir,
        };
        world.prepare_services(&tools, &self)?;
        if let Err(error) = world.bring_up(&tools, &self).await {
            return Err(anyhow!("{error:?}\n{}", world.logs()));
        }
        Ok(world)
    }

    async fn databases(
        &self,
        tools: &Tools,
        dir: &Path,
        name: &str,
    ) -> Result<(ResultsDatabase, ProgressDatabase)> {
        if self.private_databases {
            return Ok((
                ResultsDatabase::private(tools, dir, name).await?,
                ProgressDatabase::private(tools, dir, name).await?,
            ));
        }
        Ok((ResultsDatabase::shared(tools, name).await?, ProgressDatabase::shared(tools, name)))
    }
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
    fn prepare_services(&mut self, tools: &Tools, builder: &WorldBuilder) -> Result<()> {
        let mut common = self.common_settings(tools)?;
        common.extend(builder.settings.iter().cloned());
        for (name, args) in SINGLES {
            let program = tools.bin_dir.join(name);
            let service = service(name, &program, args, &common, self.dir.path())?;
            self.services.insert(name.to_owned(), service);
        }
        for number in 1..=builder.executors {
            let name =
                if number == 1 { "executor".to_owned() } else { format!("executor-{number}") };
            let own = [
                ("EXECUTOR__NAME", name.clone()),
                ("EXECUTOR__HOST", self.cells.mark().to_owned()),
                // Each warm cell costs two containers, made and removed with the world, and most
                // worlds use one or two.
                ("CELLS__WARM_MIN", "2".to_owned()),
            ];
            let own = own.map(|(key, value)| (key.to_owned(), value));
            let special = builder.executor_settings.iter().filter(|(whose, _)| *whose == number);
            let special = special.map(|(_, setting)| setting.clone());
            let settings = own.into_iter().chain(common.iter().cloned()).chain(special).collect();
            let program = tools.bin_dir.join("executor");
            let service = service(&name, &program, &[], &settings, self.dir.path())?;
            self.services.insert(name, service);
        }
        Ok(())
    }

    fn common_settings(&self, tools: &Tools) -> Result<Settings> {
        let settings = [
            ("NATS__URL", self.nats.server.url()),
            ("NATS__MONITOR_URL", self.nats.server.monitor_url()),
            ("POSTGRES__URL", self.postgres.url()?),
            ("MONGO__URL", self.mongo.url().to_owned()),
            ("MONGO__DATABASE", self.mongo.database.clone()),
            ("AUTH__HS256_SECRET", self.secret.text().to_owned()),
            ("DOCKER__HOST", tools.docker_host.clone()),
            // What streams reserve must fit on the disk, and tests fill little of it.
            ("STREAMS__LEDGER_BYTES_MAX", (256 << 20).to_string()),
            ("STREAMS__OBJECTS_BYTES_MAX", (128 << 20).to_string()),
        ];
        Ok(settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    async fn bring_up(&mut self, tools: &Tools, builder: &WorldBuilder) -> Result<()> {
        self.migrate(tools).await?;
        for service in self.services.values_mut() {
            service.process.start()?;
        }
        self.all_ready().await?;
        if builder.executors == 0 {
            self.offer_languages().await?;
        }
        if builder.edge {
            let [command, query] = ["command-api", "query-api"].map(|name| self.service(name));
            let mut edge = edge(tools, self.dir.path(), &command?.address, &query?.address)?;
            edge.start().await?;
            self.edge = Some(edge);
        }
        Ok(())
    }

    /// Says what an executor would say, since nothing is accepted that no executor has.
    async fn offer_languages(&self) -> Result<()> {
        let token = self.secret.token("world", "submit")?;
        let query = TestClient::new(&self.service("query-api")?.url(), Some(token))?;
        let answer = query.get("/v1/languages").await?.ok()?;
        let mut languages = answer["languages"].as_array().context("no languages")?.clone();
        for language in &mut languages {
            *language = json!({
                "slug": language["slug"], "version": language["version"], "pool": "core",
            });
        }
        let offers = json!({ "languages": languages }).to_string();
        let client =
            async_nats::connect(self.nats.server.url()).await.context("connect to NATS")?;
        let bucket = jetstream::new(client).get_key_value("OFFERS").await?;
        bucket.put(RandomIds.new_id().to_string(), offers.into()).await?;
        Ok(())
    }

    async fn migrate(&self, tools: &Tools) -> Result<()> {
        let mut migrate = tokio::process::Command::new(tools.bin_dir.join("projector"));
        migrate.arg("migrate").env_clear().envs(environment(&self.common_settings(tools)?));
        let output = migrate.output().await.context("run projector migrate")?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "projector migrate: {}", String::from_utf8_lossy(&said));
        Ok(())
    }

    /// Returns a service by name.
    pub fn service(&self, name: &str) -> Result<&RunledgerService> {
        let service = self.services.get(name).with_context(|| format!("this world has no {name}"));
        Ok(&service?.server)
    }

    /// Returns the event bus.
    pub fn nats(&self) -> &Nats {
        &self.nats.server
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

    fn process(&mut self, name: &str) -> Result<&mut TiedProcess> {
        let process = match name {
            "nats" => Some(&mut self.nats.process),
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
        let all = services.chain([&self.nats.process]).chain(postgres).chain(mongo);
        let ends = all.map(|process| process.described("was part of this world"));
        ends.collect::<Vec<_>>().join("\n")
    }

    /// Leaves the files on disk and returns where.
    fn keep(&mut self) -> String {
        self.dir.disable_cleanup(true);
        self.dir.path().display().to_string()
    }
}
