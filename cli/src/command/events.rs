//! `runledger events`: the ledger's record of a submission, with the hash of each event.

use std::process::ExitCode;

use clap::Args;

use super::{OpenServer, output};
use crate::error::CliError;
use crate::render;

/// What `events` takes.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// The submission's id
    id: String,

    /// Print the CloudEvents, one in each line, byte by byte as they are stored. The SHA-256 of a
    /// line without its line feed stands in the next event's `previous`
    #[arg(long)]
    json: bool,
}

/// Shows every event.
pub(crate) async fn run(server: &OpenServer, args: &EventsArgs) -> Result<ExitCode, CliError> {
    let events = server.client.events(&args.id).await?;
    if args.json {
        // The raw text: parsed and written again it could have another hash.
        let lines = events.iter().flat_map(|stored| [stored.event.get(), "\n"]);
        output(|_| lines.collect())?;
    } else {
        let table = render::events(&events)?;
        output(|_| table)?;
    }
    Ok(ExitCode::SUCCESS)
}
