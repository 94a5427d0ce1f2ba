//! `command-api`: takes submissions in over HTTP and writes them to the ledger.

use clap::Parser;
use command_api::config::DEFAULTS;
use platform::config::ServiceArgs;

/// Takes submissions in over HTTP and writes them to the ledger
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(config) = Args::parse().service.load(DEFAULTS)? else { return Ok(()) };
    Ok(command_api::service::run(config).await?)
}
