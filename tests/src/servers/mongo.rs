//! MongoDB: a database of the shared server, or a private server for tests that kill it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use mongodb::Client;
use mongodb::options::ClientOptions;
use servers::ClaimedPort;
use servers::mongo::Mongo;
use servers::testing::TestServer;

use crate::tools::Tools;

/// How long one question may take.
const ASK_PATIENCE: Duration = Duration::from_secs(2);

/// A database that one test has for itself.
#[derive(Debug)]
pub struct ProgressDatabase {
    /// The server, where it is the test's own.
    pub server: Option<TestServer<Mongo>>,
    url: String,
    /// The database's name.
    pub database: String,
}

impl ProgressDatabase {
    /// Takes the database `name` on the shared server.
    pub fn shared(tools: &Tools, name: &str) -> Self {
        Self { server: None, url: tools.mongo_url.clone(), database: name.to_owned() }
    }

    /// Starts a server of our own with its data below `dir`.
    pub async fn private(tools: &Tools, dir: &Path, name: &str) -> Result<Self> {
        let port = ClaimedPort::any()?;
        // Direct, so that the driver does not look for the other nodes of the replica set while
        // its only node is down.
        let url = format!("mongodb://{}/?directConnection=true", port.address());
        let server = Mongo {
            program: tools.mongod.clone(),
            config: dir.join("mongod.conf"),
            data: dir.join("mongo"),
            port: port.number(),
            oplog_mb: 64,
        };
        let mut server = TestServer::new("mongod", server, vec![port], dir)?;
        server.start().await?;
        Ok(Self { server: Some(server), url, database: name.to_owned() })
    }

    /// Returns the server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Drops a database of the shared server; a private server goes as a whole.
    pub async fn drop_database(&self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let client = connect(&self.url).await?;
        client.database(&self.database).drop().await?;
        client.shutdown().await;
        Ok(())
    }
}

/// Connects with short patience.
pub async fn connect(url: &str) -> Result<Client> {
    let mut options = ClientOptions::parse(url).await?;
    options.server_selection_timeout = Some(ASK_PATIENCE);
    options.connect_timeout = Some(ASK_PATIENCE);
    Ok(Client::with_options(options)?)
}
