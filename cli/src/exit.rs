//! What the exit codes mean. Scripts rely on them: add, never change.

use std::process::ExitCode;

use crate::view::Submission;

/// The program was accepted, or ran to its end with nothing to compare; or the command did what was asked.
pub(crate) const OK: u8 = 0;
/// The submission has another verdict: wrong answer, runtime error, a limit, a compile error.
pub(crate) const VERDICT: u8 = 1;
/// The command line, a file that it names, or the environment is wrong; nothing was sent.
pub(crate) const USAGE: u8 = 2;
/// The server refused the request, and trying again would not help.
pub(crate) const REFUSED: u8 = 3;
/// The server could not be reached, was not available, or did not answer as it should, after every retry.
pub(crate) const UNAVAILABLE: u8 = 4;
/// The submission ended without a verdict: the platform failed, or it was cancelled.
pub(crate) const NO_VERDICT: u8 = 5;

/// The codes as `--help` shows them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  accepted or finished; or the command did what was asked
  1  another verdict: wrong answer, runtime error, a limit, compile error
  2  the command line, a file that it names, or the environment is wrong
  3  the server refused the request
  4  the server is not available, after every retry
  5  no verdict: the platform failed, or the submission was cancelled

1 and 5 come from submit --watch, watch and show.";

/// Returns the code that a submission's state stands for; one that has not ended is no failure.
pub(crate) fn of(submission: &Submission) -> ExitCode {
    ExitCode::from(code_of(&submission.state, submission.verdict.as_deref()))
}

fn code_of(state: &str, verdict: Option<&str>) -> u8 {
    match (state, verdict) {
        ("failed" | "cancelled", _) => NO_VERDICT,
        (_, None | Some("accepted" | "finished")) => OK,
        (_, Some(_)) => VERDICT,
    }
}

#[cfg(test)]
mod tests {
    use events::{State, Verdict};

    use super::*;

    #[test]
    fn every_verdict_has_its_code() {
        for verdict in Verdict::ALL {
            let good = matches!(verdict, Verdict::Accepted | Verdict::Finished);
            let expected = if good { OK } else { VERDICT };
            assert_eq!(code_of("completed", Some(verdict.as_str())), expected, "{verdict:?}");
        }
    }

    #[test]
    fn an_end_without_a_verdict_has_its_own_code_and_an_open_one_none() {
        for state in State::ALL {
            let expected = match state {
                State::Failed | State::Cancelled => NO_VERDICT,
                State::Accepted | State::Running | State::Cancelling | State::Completed => OK,
            };
            assert_eq!(code_of(state.as_str(), None), expected, "{state:?}");
        }
    }

    #[test]
    fn the_help_names_every_code() {
        for code in [OK, VERDICT, USAGE, REFUSED, UNAVAILABLE, NO_VERDICT] {
            assert!(HELP.contains(&format!("\n  {code}  ")), "{code} is not in the help");
        }
    }
}
