//! `runledger show`: a submission as it is now.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{output, output_json, submission_path};
use crate::api::Api;
use crate::exit;
use crate::failure::Failure;
use crate::render;
use crate::view::Submission;

/// What `show` takes.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The submission's id
    id: String,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Shows it; the exit code is that of its verdict.
pub(super) async fn run(api: &Api, args: &ShowArgs) -> Result<ExitCode, Failure> {
    let answer = api.get(&submission_path(&args.id, &[]), &[], Duration::ZERO).await?;
    present(&answer.json()?, args.json)
}

/// Prints a submission and returns the exit code that goes with it.
pub(super) fn present(answer: &Value, json: bool) -> Result<ExitCode, Failure> {
    let submission = Submission::read(answer)?;
    if json {
        output_json(answer)?;
    } else {
        output(|style| render::submission(&submission, style))?;
    }
    Ok(exit::of(&submission))
}
