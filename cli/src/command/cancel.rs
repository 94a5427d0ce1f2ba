//! `runledger cancel`: cancels a submission.

use std::process::ExitCode;

use clap::Args;
use client::Submitted;
use serde_json::Value;

use super::{OpenServer, output, output_json};
use crate::error::CliError;

/// What `cancel` takes.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The submission's id
    id: String,

    /// The reason, for the ledger's record
    #[arg(long)]
    reason: Option<String>,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Cancels it. A submission that is cancelled already is a success, so repeating the command is
/// safe.
pub(crate) async fn run(server: &OpenServer, args: &CancelArgs) -> Result<ExitCode, CliError> {
    let answer = match server.client.cancel(&args.id, args.reason.as_deref()).await {
        Err(refused) if refused.is_conflict() => {
            // An earlier try of this command may have cancelled it, and its answer was lost.
            let found = server.client.submission(&args.id).await?;
            if found.read::<Value>()?["state"] != "cancelled" {
                return Err(refused.into());
            }
            found
        }
        answer => answer?,
    };
    if args.json {
        output_json(&answer.read()?)?;
    } else {
        let Submitted { id, state, .. } = answer.read()?;
        output(|style| format!("{} {id}\n", style.state(&state)))?;
    }
    Ok(ExitCode::SUCCESS)
}
