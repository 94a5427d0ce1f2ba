//! Makes sure that the programs of the real servers are on the machine. Looks first, installs
//! only what is absent, and says how when it cannot.

pub(crate) mod apt;
pub(crate) mod cargo_tools;
mod wheels;

use std::path::PathBuf;

use anyhow::Result;

use crate::command::find;
use crate::failure::failure;
use crate::steps::step;

use apt::Need;

/// Where the servers' programs lie.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) nats_server: PathBuf,
    pub(crate) mongod: PathBuf,
    /// The directory with initdb and postgres.
    pub(crate) postgres: PathBuf,
    pub(crate) nginx: PathBuf,
    /// dockerd, where this machine has one.
    pub(crate) dockerd: Option<PathBuf>,
}

/// What Debian packages give us, beside the engine.
const SERVERS: &[Need] = &[
    Need { package: "postgresql", met: || postgres_programs().is_some() },
    Need { package: "nginx", met: || find("nginx").is_some() },
    Need { package: "zstd", met: || find("zstd").is_some() },
    Need { package: "libcurl4", met: || apt::has_library("libcurl.so.4") },
    Need { package: "libssl3", met: || apt::has_library("libssl.so.3") },
];

/// What the engine and its first image need, where no engine answers already.
const ENGINE: &[Need] = &[
    Need { package: "docker.io", met: || find("dockerd").is_some() },
    Need { package: "debootstrap", met: || find("debootstrap").is_some() },
];

const CLIENT: &[Need] = &[Need { package: "docker-cli", met: || find("docker").is_some() }];

/// Installs what is absent and returns where everything lies.
pub(crate) fn ensure(engine_answers: bool) -> Result<Tools> {
    apt::ensure(SERVERS)?;
    if !engine_answers {
        apt::ensure(ENGINE)?;
    }
    // On older Debian the client comes with docker.io, on newer it is a package of its own.
    apt::ensure(CLIENT)?;
    step("programs of the message and document stores", || {
        wheels::NATS_SERVER.ensure()?;
        wheels::MONGOD.ensure()
    })?;
    located()
}

/// Where everything lies, without installing anything.
pub(crate) fn located() -> Result<Tools> {
    find("docker").ok_or_else(|| absent("the docker client"))?;
    Ok(Tools {
        nats_server: wheels::NATS_SERVER.path(),
        mongod: wheels::MONGOD.path(),
        postgres: postgres_programs().ok_or_else(|| absent("PostgreSQL"))?,
        nginx: find("nginx").ok_or_else(|| absent("nginx"))?,
        dockerd: find("dockerd"),
    })
}

fn absent(what: &str) -> anyhow::Error {
    failure(format!("{what} is not installed"), "run `cargo dev up`, which installs it")
}

/// Debian keeps one directory per major version; the newest is used.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let bin = PathBuf::from(format!("/usr/lib/postgresql/{name}/bin"));
            let complete = bin.join("initdb").is_file() && bin.join("postgres").is_file();
            complete.then_some((name.parse::<u32>().ok()?, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}
