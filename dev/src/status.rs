//! `cargo dev status`: each part, its process, where it listens, and whether it does its work.

use anyhow::Result;

use crate::parts::{self, Part, Site};
use crate::state::Record;
use crate::steps::say;

/// Shows every part. True when all are healthy.
pub(crate) fn show(site: &Site) -> Result<bool> {
    say(format_args!("{:<12} {:>8}  {:<24} state", "part", "pid", "address"));
    let mut healthy = true;
    for part in parts::all() {
        let (pid, state, well) = check_part(site, part)?;
        say(format_args!("{:<12} {pid:>8}  {:<24} {state}", part.name(), part.address(site)?));
        healthy &= well;
    }
    Ok(healthy)
}

fn check_part(site: &Site, part: &Part) -> Result<(String, String, bool)> {
    let foreign = part.name() == "docker" && !site.engine.ours;
    let record = Record::alive(&site.layout, part.name())?;
    let pid =
        record.as_ref().map_or_else(|| "-".to_owned(), |record| record.identity.pid.to_string());
    if record.is_none() && !foreign {
        return Ok((pid, "down".to_owned(), false));
    }
    Ok(match part.check(site) {
        Ok(()) if foreign => (pid, "healthy, this machine's own".to_owned(), true),
        Ok(()) => (pid, "healthy".to_owned(), true),
        Err(error) => (pid, format!("not healthy: {}", one_line(&format!("{error:#}"))), false),
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
