//! `runledger watch`: long-polls until a submission has ended, and shows it.

use std::process::ExitCode;

use clap::Args;
use client::{Answer, SubmissionView};

use super::{Server, show};
use crate::failure::Failure;

/// What `watch` takes.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The submission's id
    id: String,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Waits, and shows the end; the exit code is that of the verdict.
pub(crate) async fn run(server: &Server, args: &WatchArgs) -> Result<ExitCode, Failure> {
    show::present(&until_ended(server, &args.id, 0).await?, args.json)
}

/// Waits until the submission has ended, and returns how. `sequence` is what the caller knows of it.
pub(super) async fn until_ended(
    server: &Server,
    id: &str,
    sequence: u64,
) -> Result<Answer, Failure> {
    server.progress.waiting_for(id.to_owned());
    let seen = |submission: &SubmissionView| {
        server.progress.waiting_for(format!("{id} {}", submission.state));
    };
    let ended = server.client.ended(id, sequence, seen).await?;
    server.progress.end();
    Ok(ended)
}
