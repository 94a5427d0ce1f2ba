//! `projector`: the command line. Everything that it does stands in the library.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use platform::config::ServiceArgs;
use platform::telemetry::init_logs;
use projector::config::{Config, DEFAULTS};
use projector::progress_line::ProgressLine;
use projector::projection::Projection;
use projector::rebuild::rebuild;
use projector::serve::{Stores, serve};

/// Events in, views out
#[derive(Debug, Parser)]
#[command(name = "projector", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep both views level with the ledger (the default)
    Serve(ServiceArgs),
    /// Bring the stores' schemas up to date, and exit
    Migrate(ServiceArgs),
    /// Fold the whole ledger into a new copy of one view, beside the live one, and switch readers to it
    Rebuild {
        /// Which view
        view: View,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum View {
    /// Submissions, in PostgreSQL
    Results,
    /// What users have done, in MongoDB
    Progress,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed there is nobody to tell.
            let _unheard = writeln!(std::io::stderr().lock(), "projector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let command = arguments.command.unwrap_or(Command::Serve(arguments.service));
    let (Command::Serve(service) | Command::Migrate(service) | Command::Rebuild { service, .. }) =
        &command;
    let Some(config) = service.load::<Config>(DEFAULTS)? else { return Ok(()) };
    match command {
        Command::Serve(_) => Ok(serve(&config).await?),
        Command::Migrate(_) => migrate(&config).await,
        Command::Rebuild { view, .. } => rebuild_view(&config, view).await,
    }
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    init_logs(&config.log)?;
    let stores = Stores::open(config).await?;
    stores.results.writer().migrate().await.context("migrate PostgreSQL")?;
    stores.progress.writer().migrate().await.context("prepare MongoDB")?;
    Ok(())
}

async fn rebuild_view(config: &Config, view: View) -> anyhow::Result<()> {
    init_logs(&config.log)?;
    let stores = Stores::open(config).await?;
    let projection: &dyn Projection = match view {
        View::Results => &stores.results,
        View::Progress => &stores.progress,
    };
    let mut line = ProgressLine::new(projection.store().name());
    let rebuilt = rebuild(&stores.ledger(), projection, &mut |stage| line.show(stage)).await;
    line.end();
    rebuilt.with_context(|| format!("rebuild {}", projection.store().name()))?;
    Ok(())
}
