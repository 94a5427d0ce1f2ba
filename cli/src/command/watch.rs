//! `runledger watch`: waits until a submission has ended, and shows it.

use std::process::ExitCode;

use clap::Args;
use client::{HttpAnswer, SubmissionView};

use super::{OpenServer, show};
use crate::error::CliError;

/// What `watch` takes.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The submission's id
    id: String,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Waits, and shows how it ended; the exit code tells the verdict.
pub(crate) async fn run(server: &OpenServer, args: &WatchArgs) -> Result<ExitCode, CliError> {
    show::present(&until_ended(server, &args.id, 0).await?, args.json)
}

/// Waits until the submission has ended, and returns it. `sequence` is the last that the caller
/// knows.
pub(super) async fn until_ended(
    server: &OpenServer,
    id: &str,
    sequence: u64,
) -> Result<HttpAnswer, CliError> {
    server.spinner.waiting_for(id.to_owned());
    let seen = |submission: &SubmissionView| {
        server.spinner.waiting_for(format!("{id} {}", submission.state));
    };
    let ended = server.client.ended(id, sequence, seen).await?;
    server.spinner.end();
    Ok(ended)
}
