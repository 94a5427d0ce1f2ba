//! `query-api`: answers about submissions and progress.

use clap::Parser;
use platform::config::ServiceArgs;
use query_api::config::DEFAULTS;

/// Answers about submissions and progress over HTTP
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(config) = Args::parse().service.load(DEFAULTS)? else { return Ok(()) };
    Ok(query_api::service::run(config).await?)
}
