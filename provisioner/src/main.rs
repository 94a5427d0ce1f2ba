//! `provisioner`: the command line. Everything that it does stands in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use platform::config::ServiceArgs;
use provisioner::config::{Config, DEFAULTS};
use provisioner::service::{keep, provision_once};

/// Makes the streams, the buckets and the queues that the services find on NATS
#[derive(Debug, Parser)]
#[command(name = "provisioner", version)]
struct ProvisionerArgs {
    /// Stay, check again and again, and make anew what was lost
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    service: ServiceArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(ProvisionerArgs::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the exit code is all that is left to tell.
            let _unheard = writeln!(std::io::stderr().lock(), "provisioner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: ProvisionerArgs) -> anyhow::Result<()> {
    let Some(config) = arguments.service.load::<Config>(DEFAULTS)? else { return Ok(()) };
    if arguments.keep { Ok(keep(config).await?) } else { Ok(provision_once(&config).await?) }
}
