//! `dev.env`: where everything answers, as `KEY=value` lines that a shell, a test or another
//! program reads. Values need no quotes.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::parts::{self, Part, Site, superuser_url};
use crate::paths::{self, Layout};
use crate::state::Record;

/// Writes the file of a topology that is up.
pub(crate) fn write(site: &Site, token: &str) -> Result<()> {
    let mut lines = vec![
        ("RUNLEDGER_URL".to_owned(), site.edge_url()?),
        ("RUNLEDGER_TOKEN".to_owned(), token.to_owned()),
        ("RUNLEDGER_NATS_URL".to_owned(), site.nats_url()?),
        ("RUNLEDGER_NATS_VIEWER_PASSWORD".to_owned(), site.nats_passwords.of("viewer")?.to_owned()),
        ("RUNLEDGER_NATS_MONITOR_URL".to_owned(), site.service_url("nats-monitor")?),
        ("RUNLEDGER_POSTGRES_URL".to_owned(), site.postgres_url()?),
        ("RUNLEDGER_MONGO_URL".to_owned(), site.mongo_url()?),
        ("DOCKER_HOST".to_owned(), site.engine.host.clone()),
    ];
    for part in parts::SERVICES {
        lines.push((format!("RUNLEDGER_{}_URL", key(part)), site.service_url(part.name())?));
    }
    // Not the engine, which is found by `DOCKER_HOST` and may be this machine's own.
    for part in parts::all().into_iter().filter(|part| part.name() != "docker") {
        if let Some(record) = Record::alive(&site.layout, part.name())? {
            lines.push((format!("RUNLEDGER_PID_{}", key(part)), record.identity.pid.to_string()));
        }
    }
    let mut text = String::new();
    for (key, value) in &lines {
        writeln!(text, "{key}={value}")?;
    }
    // For its user alone, because a token and a password stand in it.
    paths::write_whole(&site.layout.dev_env(), text.as_bytes(), 0o600)
}

/// Reads where the edge of a topology answers, and the token for it.
pub(crate) fn read(path: &Path) -> Result<(String, String)> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.map(str::to_owned).with_context(|| format!("{} has no {key}", path.display()))
    };
    Ok((value("RUNLEDGER_URL")?, value("RUNLEDGER_TOKEN")?))
}

/// Writes the file again, with the same token, when a part has another process.
pub(crate) fn refresh(site: &Site) -> Result<()> {
    match read(&site.layout.dev_env()) {
        Ok((_, token)) => write(site, &token),
        // Nothing was brought up here.
        Err(_) => Ok(()),
    }
}

/// Removes the file of a topology that is down.
pub(crate) fn remove(layout: &Layout) -> Result<()> {
    match fs::remove_file(layout.dev_env()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A part's name in names of variables.
fn key(part: &Part) -> String {
    part.name().to_uppercase().replace('-', "_")
}

/// What the tests are told about the servers that run for them.
pub(crate) fn for_tests(site: &Site) -> Result<Vec<(String, String)>> {
    let path = |path: &Path| path.display().to_string();
    Ok(vec![
        ("RUNLEDGER_TEST_NATS_SERVER".to_owned(), path(&site.tools.nats_server)),
        ("RUNLEDGER_TEST_POSTGRES_URL".to_owned(), superuser_url(site)?),
        ("RUNLEDGER_TEST_POSTGRES_BIN_DIR".to_owned(), path(&site.tools.postgres)),
        ("RUNLEDGER_TEST_MONGO_URL".to_owned(), site.mongo_url()?),
        ("RUNLEDGER_TEST_MONGOD".to_owned(), path(&site.tools.mongod)),
        ("RUNLEDGER_TEST_BIN_DIR".to_owned(), path(&site.programs)),
        ("RUNLEDGER_TEST_NGINX".to_owned(), path(&site.tools.nginx)),
        ("DOCKER_HOST".to_owned(), site.engine.host.clone()),
    ])
}
