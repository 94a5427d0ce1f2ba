//! PostgreSQL: a database of the shared server, or a private server for tests that kill it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::ports::free_port;
use crate::process::{Process, Spec, wait_until};
use crate::tools::Tools;

const READY_PATIENCE: Duration = Duration::from_mins(2);
/// The role that `initdb` makes.
const SUPERUSER: &str = "postgres";

/// A database that one test has for itself.
#[derive(Debug)]
pub struct Postgres {
    /// The server, where it is the test's own.
    pub process: Option<Process>,
    server_url: String,
    database: String,
}

impl Postgres {
    /// Makes the database `name` on the shared server.
    pub async fn shared(tools: &Tools, name: &str) -> Result<Self> {
        let server = Self {
            process: None,
            server_url: tools.postgres_url.clone(),
            database: name.to_owned(),
        };
        server.create_database().await?;
        Ok(server)
    }

    /// Starts a server of our own with its data in a new directory, and makes the database `name` on it.
    pub async fn private(tools: &Tools, dir: &Path, name: &str) -> Result<Self> {
        let (port, user) = (free_port()?, server_user());
        let data = data_dir(dir, user)?;
        init(tools, &data, user).await?;
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "max_connections=100".to_owned(),
            "shared_buffers=32MB".to_owned(),
        ];
        let args = ["-D".into(), data.into_os_string()].into_iter();
        let args =
            args.chain(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
        let spec = Spec::new(tools.postgres_bin_dir.join("postgres"), args).user(user);
        // SIGTERM would wait for every client; SIGINT ends their sessions and shuts down cleanly.
        let mut process = Process::new("postgres", spec.stop_by(Signal::INT), dir);
        process.start()?;
        let server_url = format!("postgres://{SUPERUSER}@127.0.0.1:{port}/postgres");
        let mut server = Self { process: Some(process), server_url, database: name.to_owned() };
        server.ready().await?;
        server.create_database().await?;
        Ok(server)
    }

    /// Waits until the server answers.
    pub async fn ready(&mut self) -> Result<()> {
        wait_until("PostgreSQL is ready", READY_PATIENCE, async || {
            if let Some(process) = &mut self.process {
                process.check()?;
            }
            let mut connection = PgConnection::connect(&self.server_url).await?;
            connection.ping().await?;
            Ok(())
        })
        .await
    }

    /// Returns the database's address.
    pub fn url(&self) -> Result<String> {
        let mut url = Url::parse(&self.server_url).context("the server's address")?;
        url.set_path(&self.database);
        Ok(url.into())
    }

    async fn create_database(&self) -> Result<()> {
        let mut connection =
            PgConnection::connect(&self.server_url).await.context("connect to PostgreSQL")?;
        let create = format!("create database {}", self.database);
        connection.execute(AssertSqlSafe(create)).await.context("make a database")?;
        Ok(())
    }

    /// Drops a database of the shared server; a private server goes as a whole.
    pub async fn drop_database(&self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut connection = PgConnection::connect(&self.server_url).await?;
        let drop = format!("drop database if exists {} with (force)", self.database);
        connection.execute(AssertSqlSafe(drop)).await.context("drop the database")?;
        Ok(())
    }
}

/// The server does not run as root; the package made a user for it.
fn server_user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some(SUPERUSER)
}

/// Makes the data directory, and lets the server's user reach it.
fn data_dir(dir: &Path, user: Option<&str>) -> Result<PathBuf> {
    let data = dir.join("postgres");
    std::fs::create_dir(&data)?;
    if let Some(user) = user {
        run("chmod", ["a+x".as_ref(), dir.as_os_str()])?;
        run("chown", [user.as_ref(), data.as_os_str()])?;
    }
    Ok(data)
}

fn run<const N: usize>(program: &str, args: [&std::ffi::OsStr; N]) -> Result<()> {
    let output = std::process::Command::new(program).args(args).output()?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

async fn init(tools: &Tools, data: &Path, user: Option<&'static str>) -> Result<()> {
    let args =
        ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-D"];
    let args = args.into_iter().map(Into::into).chain([data.as_os_str().to_owned()]);
    let spec = Spec::new(tools.postgres_bin_dir.join("initdb"), args).user(user);
    let output =
        tokio::process::Command::from(spec.command()).output().await.context("run initdb")?;
    if !output.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
