//! PostgreSQL: the results views. Runs as its own user, since it refuses to run as root.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::User;
use rustix::process::Signal;

use super::{ASK_PATIENCE, Part, Site};
use crate::command::{clean, output, output_within};
use crate::failure::failure;
use crate::paths::{self, Layout};
use crate::process::{RunAs, Spec};

/// The role that owns our database.
pub(crate) const OWNER: &str = "runledger";

/// Our database.
pub(crate) const DATABASE: &str = "runledger";

/// The role that may do everything, made by initdb.
pub(crate) const SUPERUSER: &str = "postgres";

/// The results store.
pub(crate) struct Postgres;

impl Part for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn prepare(&self, site: &Site) -> Result<Spec> {
        let data = site.layout.public_data("postgres");
        let sockets = socket_dir(&site.layout);
        let run_as = run_as()?;
        paths::make_public(data.parent().context("data directory")?)?;
        paths::make_public(&sockets)?;
        give(&sockets, run_as)?;
        if !data.join("PG_VERSION").exists() {
            create(site, &data, run_as)?;
        }
        let conf = site.layout.conf("postgres.conf");
        paths::write_whole(&conf, settings(site, &sockets)?.as_bytes(), 0o644)?;
        // Inside the data directory, because the server's user may be unable to enter the clone.
        let inside = data.join("runledger.conf");
        fs::copy(&conf, &inside).context("write the server's settings")?;
        give(&inside, run_as)?;
        let mut spec = Spec::new(site.tools.postgres.join("postgres"))
            .args(["-D".as_ref(), data.as_os_str()])
            .args(["-c".into(), format!("config_file={}", inside.display())])
            .file(conf);
        spec.run_as = run_as;
        Ok(spec)
    }

    fn check(&self, site: &Site) -> Result<()> {
        let mut command = psql(site, "postgres")?;
        output_within(command.args(["-c", "select 1"]), ASK_PATIENCE).map(drop)
    }

    fn settle(&self, site: &Site) -> Result<()> {
        let exists = |query: &str| -> Result<bool> {
            Ok(!output(psql(site, "postgres")?.args(["-c", query]))?.trim().is_empty())
        };
        if !exists(&format!("select 1 from pg_roles where rolname = '{OWNER}'"))? {
            let create = format!("create role {OWNER} login");
            output(psql(site, "postgres")?.args(["-c", &create]))?;
        }
        if !exists(&format!("select 1 from pg_database where datname = '{DATABASE}'"))? {
            let create = format!("create database {DATABASE} owner {OWNER}");
            output(psql(site, "postgres")?.args(["-c", &create]))?;
        }
        Ok(())
    }

    fn stopping(&self) -> (Signal, Duration) {
        // SIGTERM would wait for every client; SIGINT ends their sessions and shuts down cleanly.
        (Signal::INT, Duration::from_secs(20))
    }
}

/// The superuser's address of a database, for tests that make databases of their own.
pub(crate) fn superuser_url(site: &Site) -> Result<String> {
    Ok(format!("postgres://{SUPERUSER}@{}/postgres", site.ports.address("postgres")?))
}

fn socket_dir(layout: &Layout) -> PathBuf {
    layout.sockets().join("postgres")
}

/// Root runs the server as the package's user; anybody else as himself.
fn run_as() -> Result<Option<RunAs>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").context("look up the user postgres")?;
    let user = user.ok_or_else(|| {
        failure(
            "this machine has no user postgres, and the server does not run as root",
            "install Debian's package postgresql, which makes the user",
        )
    })?;
    Ok(Some(RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

fn give(path: &Path, to: Option<RunAs>) -> Result<()> {
    let Some(user) = to else { return Ok(()) };
    chown(path, Some(user.uid), Some(user.gid)).with_context(|| format!("chown {}", path.display()))
}

/// Makes the database cluster beside its final place, so that a broken one is never taken for whole.
fn create(site: &Site, data: &Path, run_as: Option<RunAs>) -> Result<()> {
    let fresh = data.with_extension("new");
    paths::remove_tree(&fresh)?;
    paths::make_private(&fresh)?;
    give(&fresh, run_as)?;
    let mut initdb = as_user(clean(site.tools.postgres.join("initdb")), run_as);
    initdb.args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    output(initdb.arg("-D").arg(&fresh))?;
    fs::rename(&fresh, data).context("move the cluster into place")
}

fn as_user(mut command: Command, user: Option<RunAs>) -> Command {
    command.current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

fn settings(site: &Site, sockets: &Path) -> Result<String> {
    let mut text =
        String::from("# Written by `cargo dev`. Durability stays on: it is what is tested.\n");
    let mut set = |key: &str, value: &str| writeln!(text, "{key} = '{value}'");
    set("listen_addresses", "127.0.0.1")?;
    set("port", &site.ports.of("postgres")?.to_string())?;
    set("unix_socket_directories", &sockets.display().to_string())?;
    set("max_connections", "200")?;
    set("shared_buffers", "128MB")?;
    set("max_wal_size", "512MB")?;
    set("jit", "off")?;
    set("log_min_duration_statement", "500ms")?;
    set("log_timezone", "UTC")?;
    set("timezone", "UTC")?;
    Ok(text)
}

fn psql(site: &Site, database: &str) -> Result<Command> {
    let mut command = clean(site.tools.postgres.join("psql"));
    command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", SUPERUSER]);
    command.args(["-p", &site.ports.of("postgres")?.to_string(), "-d", database]);
    Ok(command)
}
