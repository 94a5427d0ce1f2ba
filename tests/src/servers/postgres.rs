//! PostgreSQL: a database of the shared server, or a private server for tests that kill it.

use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Url;
use servers::ClaimedPort;
use servers::files::make_public;
use servers::postgres::{Postgres, SUPERUSER};
use servers::testing::TestServer;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::tools::Tools;

/// A database that one test has for itself.
#[derive(Debug)]
pub struct ResultsDatabase {
    /// The server, where it is the test's own.
    pub server: Option<TestServer<Postgres>>,
    server_url: String,
    database: String,
}

impl ResultsDatabase {
    /// Makes the database `name` on the shared server.
    pub async fn shared(tools: &Tools, name: &str) -> Result<Self> {
        let server = Self {
            server: None,
            server_url: tools.postgres_url.clone(),
            database: name.to_owned(),
        };
        server.execute(format!("create database {name}")).await.context("make a database")?;
        Ok(server)
    }

    /// Starts a server of our own with its data below `dir`, and makes the database `name` on it.
    pub async fn private(tools: &Tools, dir: &Path, name: &str) -> Result<Self> {
        // The server's own user has to reach its data.
        make_public(dir)?;
        let port = ClaimedPort::any()?;
        let server = Postgres {
            programs: tools.postgres_bin_dir.clone(),
            data: dir.join("postgres"),
            sockets: None,
            port: port.number(),
            settings: &[("max_connections", "100"), ("shared_buffers", "32MB")],
            owner: SUPERUSER.to_owned(),
            database: name.to_owned(),
        };
        let server_url = server.superuser_url();
        let mut server = TestServer::new("postgres", server, vec![port], dir)?;
        server.start().await?;
        Ok(Self { server: Some(server), server_url, database: name.to_owned() })
    }

    /// Returns the database's address.
    pub fn url(&self) -> Result<String> {
        let mut url = Url::parse(&self.server_url).context("the server's address")?;
        url.set_path(&self.database);
        Ok(url.into())
    }

    /// Drops a database of the shared server; a private server goes as a whole.
    pub async fn drop_database(&self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let drop = format!("drop database if exists {} with (force)", self.database);
        self.execute(drop).await.context("drop the database")
    }

    async fn execute(&self, statement: String) -> Result<()> {
        let mut connection =
            PgConnection::connect(&self.server_url).await.context("connect to PostgreSQL")?;
        connection.execute(AssertSqlSafe(statement)).await?;
        Ok(())
    }
}
