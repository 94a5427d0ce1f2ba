//! `query-api`: answers about submissions and progress.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Parser;
use platform::config::ServiceArgs;
use query_api::config::{Config, DEFAULTS};

/// Answers about submissions and progress over HTTP
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
    runtime.block_on(query_api::service::run(config))?;
    Ok(())
}
