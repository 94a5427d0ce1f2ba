//! `executor`: takes submissions from the ledger, runs them in sandboxes and records what came of them.

use clap::Parser;
use executor::config::DEFAULTS;
use platform::config::ServiceArgs;

/// Takes submissions from the ledger, runs them in sandboxes and records what came of them
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(config) = Args::parse().service.load(DEFAULTS)? else { return Ok(()) };
    Ok(executor::service::run(config).await?)
}
