//! `command-api`: takes submissions in over HTTP and writes them to the ledger.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Parser;
use command_api::config::{Config, DEFAULTS};
use platform::config::ServiceArgs;

/// Takes submissions in over HTTP and writes them to the ledger
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let config: Config = args.service.load(DEFAULTS)?;
    if args.service.check_config {
        writeln!(std::io::stdout().lock(), "the configuration is valid")?;
        return Ok(());
    }
    platform::telemetry::init_logs(&config.log)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(command_api::service::run(config))?;
    Ok(())
}
