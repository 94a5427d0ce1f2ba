//! What the exit codes mean. Scripts rely on them: codes may be added, never changed.

/// The program was accepted, or ran to its end with nothing to compare; or the command succeeded.
pub(crate) const OK: u8 = 0;
/// The submission has another verdict: wrong answer, runtime error, a limit, a compile error.
pub(crate) const VERDICT: u8 = 1;
/// The command line, a file that it names, or the environment is wrong; nothing was sent.
pub(crate) const USAGE: u8 = 2;
/// The server refused the request, and trying again would not help.
pub(crate) const REFUSED: u8 = 3;
/// After every retry the server could not be reached, was not available, or sent a broken answer.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        for code in [OK, VERDICT, USAGE, REFUSED, UNAVAILABLE, NO_VERDICT] {
            assert!(HELP.contains(&format!("\n  {code}  ")), "{code} is not in the help");
        }
    }
}
