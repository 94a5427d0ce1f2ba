//! How a world is made.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use async_nats::jetstream;
use events::IdSource;
use platform::ids::RandomIds;
use serde_json::json;

use super::World;
use crate::cells::Cells;
use crate::client::TestClient;
use crate::servers::edge;
use crate::servers::engine::Engine;
use crate::servers::mongo::ProgressDatabase;
use crate::servers::nats::{CLUSTER_SERVERS, LedgerServers};
use crate::servers::postgres::ResultsDatabase;
use crate::services::{SINGLES, Settings, nats_passwords, service};
use crate::tokens::Secret;
use crate::tools::Tools;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct WorldBuilder {
    executors: usize,
    edge: bool,
    edge_workers: bool,
    private_databases: bool,
    private_engine: bool,
    nats_disk_mib: Option<u32>,
    nats_cluster: bool,
    settings: Settings,
    /// Settings of single executors, by number.
    executor_settings: Vec<(usize, (String, String))>,
}

impl Default for WorldBuilder {
    /// Every service, one executor, databases and engine the shared ones, no edge.
    fn default() -> Self {
        Self {
            executors: 1,
            edge: false,
            edge_workers: false,
            private_databases: false,
            private_engine: false,
            nats_disk_mib: None,
            nats_cluster: false,
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

    /// Puts nginx in front, with a worker for each processor as in an installation.
    // Its workers would outlive a test that is killed, so this is for tests that one process cannot
    // serve.
    #[must_use]
    pub fn edge_with_workers(self) -> Self {
        Self { edge: true, edge_workers: true, ..self }
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

    /// Puts the store of NATS on a disk of its own, which can be full.
    #[must_use]
    pub fn nats_disk_mib(self, mib: u32) -> Self {
        Self { nats_disk_mib: Some(mib), ..self }
    }

    /// Puts the ledger on three NATS servers, of which one can be cut off from the others.
    #[must_use]
    pub fn nats_cluster(self) -> Self {
        Self { nats_cluster: true, ..self }.setting("STREAMS__REPLICAS", CLUSTER_SERVERS)
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
        let nats = if self.nats_cluster {
            LedgerServers::cluster().await
        } else {
            LedgerServers::one(&tools, dir.path(), self.nats_disk_mib)?
        };
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

impl World {
    fn prepare_services(&mut self, tools: &Tools, builder: &WorldBuilder) -> Result<()> {
        let mut common = self.common_settings(tools)?;
        common.extend(builder.settings.iter().cloned());
        for (name, args) in SINGLES {
            let program = tools.bin_dir.join(name);
            let settings = [common.as_slice(), &nats_passwords(name)].concat();
            let service = service(name, &program, args, &settings, self.dir.path())?;
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
            let own = own.into_iter().chain(nats_passwords("executor"));
            let settings = own.chain(common.iter().cloned()).chain(special).collect();
            let program = tools.bin_dir.join("executor");
            let service = service(&name, &program, &[], &settings, self.dir.path())?;
            self.services.insert(name, service);
        }
        Ok(())
    }

    async fn bring_up(&mut self, tools: &Tools, builder: &WorldBuilder) -> Result<()> {
        self.run_projector(tools, &["migrate"]).await?;
        for service in self.services.values_mut() {
            service.process.start()?;
        }
        self.all_ready().await?;
        if builder.executors == 0 {
            self.offer_languages().await?;
        }
        if builder.edge {
            let [command, query] = ["command-api", "query-api"].map(|name| self.service(name));
            let services = [&*command?.address, &*query?.address];
            let mut edge = edge(tools, self.dir.path(), services, builder.edge_workers)?;
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
        let client = self.nats_client("executor").await?;
        let bucket = jetstream::new(client).get_key_value("OFFERS").await?;
        bucket.put(RandomIds.new_id().to_string(), offers.into()).await?;
        Ok(())
    }
}
