//! Where the real servers and our programs are. The only file of the tests that reads variables:
//! `cargo dev test` sets every variable.

use std::env::var_os;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The usual number of submissions of a test with faults.
const SUBMISSIONS_PER_FAULT: usize = 40;

/// The programs and servers that tests run against.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The nats-server binary.
    pub nats_server: PathBuf,
    /// A superuser's address of a PostgreSQL server, on which each test makes a database of its
    /// own.
    pub postgres_url: String,
    /// The directory of `initdb` and `postgres`, for tests that kill the server.
    pub postgres_bin_dir: PathBuf,
    /// The address of a MongoDB server, on which each test takes a database of its own.
    pub mongo_url: String,
    /// The mongod binary, for tests that kill the server.
    pub mongod: PathBuf,
    /// The nginx binary.
    pub nginx: PathBuf,
    /// The directory of our binaries: the services, and `dev`, the program behind `cargo dev`.
    pub bin_dir: PathBuf,
    /// The address of a Docker engine with the image `runledger/core:dev`.
    pub docker_host: String,
}

impl Tools {
    /// Reads where everything is; the error names the first variable that is not set.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            nats_server: program("RUNLEDGER_TEST_NATS_SERVER")?,
            postgres_url: text("RUNLEDGER_TEST_POSTGRES_URL")?,
            postgres_bin_dir: program("RUNLEDGER_TEST_POSTGRES_BIN_DIR")?,
            mongo_url: text("RUNLEDGER_TEST_MONGO_URL")?,
            mongod: program("RUNLEDGER_TEST_MONGOD")?,
            nginx: program("RUNLEDGER_TEST_NGINX")?,
            bin_dir: program("RUNLEDGER_TEST_BIN_DIR")?,
            docker_host: text("DOCKER_HOST")?,
        })
    }
}

/// How many submissions a test with faults makes.
pub fn submissions_per_fault() -> Result<usize> {
    submissions_or(SUBMISSIONS_PER_FAULT)
}

/// How many submissions a test makes: `RUNLEDGER_TEST_SUBMISSIONS`, or a number that keeps the
/// suite short.
pub fn submissions_or(default: usize) -> Result<usize> {
    number_above_zero("RUNLEDGER_TEST_SUBMISSIONS", default)
}

/// How long nemeses go on, and the seed of their order: `RUNLEDGER_TEST_MINUTES` and
/// `RUNLEDGER_TEST_SEED`. Without them each comes once.
pub fn minutes_and_seed() -> Result<(Duration, u64)> {
    let minutes = number_above_zero("RUNLEDGER_TEST_MINUTES", 0)?;
    let seed = number_above_zero("RUNLEDGER_TEST_SEED", 1)?;
    Ok((Duration::from_mins(minutes as u64), seed as u64))
}

fn number_above_zero(name: &str, default: usize) -> Result<usize> {
    let Some(value) = var_os(name) else { return Ok(default) };
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.with_context(|| format!("{name} is not a number above 0"))
}

fn text(name: &str) -> Result<String> {
    let value = var_os(name).with_context(|| {
        format!(
            "{name} is not set: black-box tests run by `cargo dev test`, which starts the servers"
        )
    })?;
    match value.into_string() {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) => bail!("{name} is empty"),
        Err(_) => bail!("{name} is not UTF-8"),
    }
}

fn program(name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text(name)?);
    if !path.exists() {
        bail!("{name} names {}, which is not there", path.display());
    }
    Ok(path)
}
