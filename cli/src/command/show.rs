//! `runledger show`: shows a submission as it is now.

use std::process::ExitCode;

use clap::Args;
use client::{HttpAnswer, SubmissionView};

use super::{OpenServer, output, output_json};
use crate::error::CliError;
use crate::exit;
use crate::render;

/// What `show` takes.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The submission's id
    id: String,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Shows it; the exit code tells the verdict.
pub(crate) async fn run(server: &OpenServer, args: &ShowArgs) -> Result<ExitCode, CliError> {
    present(&server.client.submission(&args.id).await?, args.json)
}

/// Prints a submission and returns the exit code for it.
pub(super) fn present(answer: &HttpAnswer, json: bool) -> Result<ExitCode, CliError> {
    // Read as JSON first, so that --json prints members that this program does not know.
    let body = answer.read()?;
    let submission = SubmissionView::read(&body)?;
    if json {
        output_json(&body)?;
    } else {
        output(|style| render::submission(&submission, style))?;
    }
    Ok(ExitCode::from(exit_code(&submission.state, submission.verdict.as_deref())))
}

/// Returns the exit code for a submission's state and verdict.
fn exit_code(state: &str, verdict: Option<&str>) -> u8 {
    match (state, verdict) {
        ("failed" | "cancelled", _) => exit::NO_VERDICT,
        // A submission that has not ended is not a failure.
        (_, None | Some("accepted" | "finished")) => exit::OK,
        (_, Some(_)) => exit::VERDICT,
    }
}

#[cfg(test)]
mod tests {
    use events::{State, Verdict};

    use super::*;

    #[test]
    fn every_verdict_has_its_code() {
        for &verdict in Verdict::ALL {
            let good = matches!(verdict, Verdict::Accepted | Verdict::Finished);
            let expected = if good { exit::OK } else { exit::VERDICT };
            assert_eq!(exit_code("completed", Some(verdict.as_str())), expected, "{verdict:?}");
        }
    }

    #[test]
    fn an_end_without_a_verdict_has_its_own_code_and_an_open_one_none() {
        for &state in State::ALL {
            let expected = match state {
                State::Failed | State::Cancelled => exit::NO_VERDICT,
                State::Accepted | State::Running | State::Cancelling | State::Completed => exit::OK,
            };
            assert_eq!(exit_code(state.as_str(), None), expected, "{state:?}");
        }
    }
}
