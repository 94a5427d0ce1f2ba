//! `runledger watch`: long-polls until a submission has ended, and shows it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{show, submission_path};
use crate::api::Api;
use crate::failure::Failure;
use crate::view::Submission;

/// How long the server is asked to hold a poll: as long as it does at most.
const WAIT: Duration = Duration::from_secs(30);

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
pub(super) async fn run(api: &Api, args: &WatchArgs) -> Result<ExitCode, Failure> {
    show::present(&until_ended(api, &args.id, 0).await?, args.json)
}

/// Polls from `sequence` on until the submission has ended. Each poll names the sequence that it has seen, so that a view
/// that lags behind cannot make the state go back.
pub(super) async fn until_ended(api: &Api, id: &str, sequence: u64) -> Result<Value, Failure> {
    api.progress().waiting_for(id.to_owned());
    let mut seen = sequence;
    let ended = loop {
        let query = [("wait", WAIT.as_secs().to_string()), ("min_seq", seen.to_string())];
        let answer: Value = api.get(&submission_path(id, &[]), &query, WAIT).await?.json()?;
        let submission = Submission::read(&answer)?;
        if submission.has_ended() {
            break answer;
        }
        api.progress().waiting_for(format!("{id} {}", submission.state));
        seen = seen.max(submission.sequence);
    };
    api.progress().end();
    Ok(ended)
}
