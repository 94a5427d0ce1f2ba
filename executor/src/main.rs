//! The executor's program: arguments and configuration, then the service.

use anyhow::Context;
use clap::Parser;
use executor::config::Config;
use platform::config::ServiceArgs;

/// Takes submissions from the ledger, runs them in sandboxes and records what came of them.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let config = Config::load(&args.service).context("the configuration is not valid")?;
    if args.service.check_config {
        return Ok(());
    }
    executor::service::run(config).await.context("the executor failed")
}
