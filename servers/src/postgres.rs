//! PostgreSQL: the results views. Runs as its own user, since it refuses to run as root.

use std::fmt::Write;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::User;
use rustix::process::Signal;

use crate::files::{self, RunAs};
use crate::{ASK_PATIENCE, Program, Server};

/// The role that may do everything, made by initdb.
pub const SUPERUSER: &str = "postgres";

/// What every server of ours is set to. Durability stays on: it is what is tested.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    // Compiling a plan takes longer than the short statements of the views run.
    ("jit", "off"),
    ("log_min_duration_statement", "500ms"),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
];

/// One server with a database in it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Postgres {
    /// The directory with `postgres`, `initdb` and `psql`.
    pub programs: PathBuf,
    pub data: PathBuf,
    /// Where a socket is made beside the port, if anywhere.
    pub sockets: Option<PathBuf>,
    pub port: u16,
    /// More settings.
    pub settings: &'static [(&'static str, &'static str)],
    /// The role that owns the database, made if it is absent.
    pub owner: String,
    /// The database, made if it is absent.
    pub database: String,
}

impl Postgres {
    /// Returns the owner's address of the database.
    pub fn url(&self) -> String {
        format!("postgres://{}@127.0.0.1:{}/{}", self.owner, self.port, self.database)
    }

    /// Returns the superuser's address of the server, for tests that make databases of their own.
    pub fn superuser_url(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Makes the database cluster beside its final place, so that a broken one is never taken for
    /// whole.
    fn create_cluster(&self, run_as: Option<RunAs>) -> Result<()> {
        let fresh = self.data.with_extension("new");
        files::remove_tree(&fresh)?;
        files::make_private(&fresh)?;
        files::give(&fresh, run_as)?;
        let mut initdb = Command::new(self.programs.join("initdb"));
        // Without a password: the server listens on loopback alone.
        initdb.args(["--username", SUPERUSER, "--auth=trust"]);
        // C.UTF-8 sorts by code point, as Rust does, and does not change with the system's library.
        // From the root directory, because the server's user may be unable to enter ours.
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "-D"]).arg(&fresh).current_dir("/");
        if let Some(user) = run_as {
            initdb.uid(user.uid).gid(user.gid);
        }
        output(&mut initdb)?;
        fs::rename(&fresh, &self.data).context("move the cluster into place")
    }

    fn settings(&self) -> Result<String> {
        let sockets = self.sockets.as_deref().unwrap_or_else(|| Path::new(""));
        let mut text = format!(
            "# Written at each start.\nport = {}\nunix_socket_directories = '{}'\n",
            self.port,
            sockets.display()
        );
        for (key, value) in SETTINGS.iter().chain(self.settings) {
            writeln!(text, "{key} = '{value}'")?;
        }
        Ok(text)
    }

    /// Returns how many bytes the tables of the database have on disk, with their indexes.
    pub fn table_bytes(&self) -> Result<u64> {
        let sum = "select coalesce(sum(pg_total_relation_size(oid)), 0) from pg_class \
                   where relkind = 'r' and relnamespace = 'public'::regnamespace";
        self.query_in(&self.database, sum)?.parse().context("read the size of the tables")
    }

    fn query(&self, statement: &str) -> Result<String> {
        self.query_in("postgres", statement)
    }

    fn query_in(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        // `-X`: a `.psqlrc` of the person's must not change what is read here.
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", SUPERUSER]);
        psql.args(["-p", &self.port.to_string(), "-d", database, "-c", statement]);
        psql.env("PGCONNECT_TIMEOUT", ASK_PATIENCE.as_secs().to_string());
        output(&mut psql)
    }
}

impl Server for Postgres {
    fn prepare(&self) -> Result<Program> {
        let run_as = server_user()?;
        files::make_public(self.data.parent().context("data directory")?)?;
        if let Some(sockets) = &self.sockets {
            files::make_public(sockets)?;
            files::give(sockets, run_as)?;
        }
        if !self.data.join("PG_VERSION").exists() {
            self.create_cluster(run_as)?;
        }
        // Inside the data directory, because the server's user may be unable to enter another.
        let config = self.data.join("runledger.conf");
        fs::write(&config, self.settings()?).context("write the server's settings")?;
        files::give(&config, run_as)?;
        // The file replaces the cluster's own, whose values depend on the machine where initdb ran.
        let mut program = Program::new(self.programs.join("postgres"))
            .args(["-D".as_ref(), self.data.as_os_str()])
            .args(["-c".into(), format!("config_file={}", config.display())])
            .file(config)
            // SIGTERM would wait for every client; SIGINT ends their sessions and shuts down
            // cleanly.
            .stop_by(Signal::INT, Duration::from_secs(20));
        program.run_as = run_as;
        Ok(program)
    }

    fn check(&self) -> Result<()> {
        self.query("select 1").map(drop)
    }

    fn set_up(&self) -> Result<()> {
        let (owner, database) = (&self.owner, &self.database);
        if self.query(&format!("select 1 from pg_roles where rolname = '{owner}'"))?.is_empty() {
            self.query(&format!("create role {owner} login"))?;
        }
        // Looked for first, since `create database` has no `if not exists`.
        let found =
            self.query(&format!("select 1 from pg_database where datname = '{database}'"))?;
        if found.is_empty() {
            self.query(&format!("create database {database} owner {owner}"))?;
        }
        Ok(())
    }
}

/// Root runs the server as the package's user; every other user runs it under the user's own name.
fn server_user() -> Result<Option<RunAs>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name(SUPERUSER).context("look up the user postgres")?;
    let user = user.context(
        "this machine has no user postgres, and the server does not run as root: install Debian's \
         package postgresql, which makes the user",
    )?;
    Ok(Some(RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// Runs a helper program to its end and returns what it wrote.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{name} ended with {}: {said}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
