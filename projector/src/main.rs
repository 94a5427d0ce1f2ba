//! `projector`: the command line. Everything that it does stands in the library.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use ledger::Swept;
use platform::clock::SystemClock;
use platform::config::ServiceArgs;
use platform::telemetry::init_logs;
use projector::config::{Config, DEFAULTS};
use projector::connections::Connections;
use projector::progress_line::ProgressLine;
use projector::projection::Projection;
use projector::rebuild::rebuild;
use projector::serve::serve;
use projector::sweep;

/// Events in, views out
#[derive(Debug, Parser)]
#[command(name = "projector", version, args_conflicts_with_subcommands = true)]
struct ProjectorArgs {
    #[command(subcommand)]
    command: Option<ProjectorCommand>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Subcommand)]
enum ProjectorCommand {
    /// Keep both views level with the ledger (the default)
    Serve(ServiceArgs),
    /// Bring the stores' schemas up to date, and exit
    Migrate(ServiceArgs),
    /// Remove objects that no event names and that are older than an hour, and exit; `serve` does it
    /// regularly
    Sweep(ServiceArgs),
    /// Fold the whole ledger into a new copy of one view, beside the live one, and switch readers
    /// to it
    Rebuild {
        /// Which view
        view: RebuiltView,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RebuiltView {
    /// Submissions, in PostgreSQL
    Results,
    /// What users have done, in MongoDB
    Progress,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(ProjectorArgs::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the exit code is all that is left to tell.
            let _unheard = writeln!(std::io::stderr().lock(), "projector: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: ProjectorArgs) -> anyhow::Result<()> {
    let command = arguments.command.unwrap_or(ProjectorCommand::Serve(arguments.service));
    let (ProjectorCommand::Serve(service)
    | ProjectorCommand::Migrate(service)
    | ProjectorCommand::Sweep(service)
    | ProjectorCommand::Rebuild { service, .. }) = &command;
    let Some(config) = service.load::<Config>(DEFAULTS)? else { return Ok(()) };
    match command {
        ProjectorCommand::Serve(_) => Ok(serve(&config).await?),
        ProjectorCommand::Migrate(_) => migrate(&config).await,
        ProjectorCommand::Sweep(_) => sweep_once(&config).await,
        ProjectorCommand::Rebuild { view, .. } => rebuild_view(&config, view).await,
    }
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    init_logs(&config.log)?;
    let stores = Connections::open(config).await?;
    stores.results.writer().migrate().await.context("migrate PostgreSQL")?;
    stores.progress.writer().migrate().await.context("prepare MongoDB")?;
    Ok(())
}

async fn sweep_once(config: &Config) -> anyhow::Result<()> {
    init_logs(&config.log)?;
    let connection = sweep::connect(config).await?;
    let mut sweeper = connection.sweeper(connection.ledger(Arc::new(SystemClock)));
    let Swept { objects, bytes } = sweeper.sweep().await.context("sweep")?;
    writeln!(std::io::stderr().lock(), "removed {objects} objects, {bytes} bytes in all")?;
    Ok(())
}

async fn rebuild_view(config: &Config, view: RebuiltView) -> anyhow::Result<()> {
    init_logs(&config.log)?;
    let stores = Connections::open(config).await?;
    let projection: &dyn Projection = match view {
        RebuiltView::Results => &stores.results,
        RebuiltView::Progress => &stores.progress,
    };
    let mut line = ProgressLine::new(projection.store().name());
    let rebuilt = rebuild(&stores.ledger(), projection, &mut |stage| line.show(stage)).await;
    // Before the error is shown, which else would be written behind the line.
    line.end();
    rebuilt.with_context(|| format!("rebuild {}", projection.store().name()))?;
    Ok(())
}
