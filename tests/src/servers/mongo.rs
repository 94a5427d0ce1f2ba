//! MongoDB: a database of the shared server, or a private server for tests that kill it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;

use crate::ports::free_address;
use crate::process::{Process, Spec, wait_until};
use crate::tools::Tools;

/// A lone node elects itself within a second or two; after a kill it first replays its journal.
const READY_PATIENCE: Duration = Duration::from_mins(5);
/// How long one question may take.
const ASK_PATIENCE: Duration = Duration::from_secs(2);
/// One node, yet a replica set, because majority writes need one.
const REPLICA_SET: &str = "rs0";

/// A database that one test has for itself.
#[derive(Debug)]
pub struct Mongo {
    /// The server, where it is the test's own.
    pub process: Option<Process>,
    url: String,
    /// The database's name.
    pub database: String,
}

impl Mongo {
    /// Takes the database `name` on the shared server.
    pub fn shared(tools: &Tools, name: &str) -> Self {
        Self { process: None, url: tools.mongo_url.clone(), database: name.to_owned() }
    }

    /// Starts a server of our own with its data below `dir`.
    pub async fn private(tools: &Tools, dir: &Path, name: &str) -> Result<Self> {
        let address = free_address()?;
        let data = dir.join("mongo");
        std::fs::create_dir(&data)?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let args =
            ["--bind_ip", "127.0.0.1", "--port", port, "--replSet", REPLICA_SET, "--nounixsocket"];
        let small = ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", "--dbpath"];
        let args = args.into_iter().chain(small).map(Into::into).chain([data.into_os_string()]);
        let mut process = Process::new("mongod", Spec::new(&tools.mongod, args), dir);
        process.start()?;
        let url = format!("mongodb://{address}/?directConnection=true");
        let mut server = Self { process: Some(process), url, database: name.to_owned() };
        server.initiate(&address).await?;
        server.ready().await?;
        Ok(server)
    }

    async fn initiate(&mut self, address: &str) -> Result<()> {
        wait_until("mongod answers", READY_PATIENCE, async || self.ask(doc! { "ping": 1 }).await)
            .await?;
        let config = doc! { "_id": REPLICA_SET, "members": [{ "_id": 0, "host": address }] };
        self.ask(doc! { "replSetInitiate": config }).await?;
        Ok(())
    }

    /// Waits until the server takes writes.
    pub async fn ready(&mut self) -> Result<()> {
        wait_until("MongoDB is ready", READY_PATIENCE, async || {
            if let Some(process) = &mut self.process {
                process.check()?;
            }
            let hello = self.ask(doc! { "hello": 1 }).await?;
            ensure!(hello.get_bool("isWritablePrimary").unwrap_or(false), "there is no primary");
            Ok(())
        })
        .await
    }

    /// Returns the server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Drops a database of the shared server; a private server goes as a whole.
    pub async fn drop_database(&self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let client = connect(&self.url).await?;
        client.database(&self.database).drop().await?;
        client.shutdown().await;
        Ok(())
    }

    async fn ask(&self, command: Document) -> Result<Document> {
        let client = connect(&self.url).await?;
        let answer = client.database("admin").run_command(command).await;
        client.shutdown().await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => bail!("mongod: {error}"),
        }
    }
}

/// Connects with short patience.
pub async fn connect(url: &str) -> Result<Client> {
    let mut options = ClientOptions::parse(url).await?;
    options.server_selection_timeout = Some(ASK_PATIENCE);
    options.connect_timeout = Some(ASK_PATIENCE);
    Ok(Client::with_options(options)?)
}
