//! `runledger cancel`: asks for the end of a submission.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::{output, output_json, submission_path};
use crate::api::Api;
use crate::failure::Failure;
use crate::view::Standing;

/// What `cancel` takes.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The submission's id
    id: String,

    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Asks for the end. What is cancelled already is as it was wished, so asking again is safe.
pub(super) async fn run(api: &Api, args: &CancelArgs) -> Result<ExitCode, Failure> {
    let body =
        args.reason.as_ref().map(|reason| json!({ "reason": reason }).to_string().into_bytes());
    let path = submission_path(&args.id, &["cancel"]);
    let answer: Value = match api.post(&path, body, HeaderMap::new()).await {
        Err(Failure::Refused(problem)) if problem.is_conflict() => {
            // An earlier try of this very command may have cancelled it, and its answer was lost.
            let found = api.get(&submission_path(&args.id, &[]), &[], Duration::ZERO).await?;
            let found: Value = found.json()?;
            if found["state"] != "cancelled" {
                return Err(Failure::Refused(problem));
            }
            found
        }
        answer => answer?.json()?,
    };
    if args.json {
        output_json(&answer)?;
    } else {
        let standing = Standing::read(answer)?;
        output(|style| format!("{} {}\n", style.state(&standing.state), standing.id))?;
    }
    Ok(ExitCode::SUCCESS)
}
