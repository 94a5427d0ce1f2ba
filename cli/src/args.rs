//! The command line: what there is to say, and how it is said. Decides nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::command::{
    CancelArgs, EventsArgs, LanguagesArgs, ShowArgs, SubmitArgs, TokenArgs, WatchArgs,
};
use crate::exit;

/// Submits programs to Runledger, watches them, and reads the ledger's record of them.
#[derive(Debug, Parser)]
#[command(name = "runledger", version, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// Where the server is.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the server is, and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// The server's address
    #[arg(long, global = true, env = "RUNLEDGER_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// The bearer token; better given by the environment, since other users see command lines
    #[arg(long, global = true, env = "RUNLEDGER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<SecretString>,

    /// How often to try again when the server is not available
    #[arg(long, global = true, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) retries: u32,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a program
    Submit(Box<SubmitArgs>),
    /// Wait until a submission has ended, and show it
    Watch(WatchArgs),
    /// Show a submission as it is now
    Show(ShowArgs),
    /// Show the ledger's record of a submission
    Events(EventsArgs),
    /// Ask for the end of a submission
    Cancel(CancelArgs),
    /// List the languages that the server knows
    Languages(LanguagesArgs),
    /// Work with tokens
    #[command(subcommand)]
    Token(TokenCommand),
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Sign a token with the server's secret; for operators and tests
    Mint(TokenArgs),
}

/// A secret from a file or the environment.
#[derive(Debug, Args)]
pub(crate) struct SecretArgs {
    /// A file with the secret; white space around it does not count
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// The secret itself; only from the environment
    #[arg(long, env = "RUNLEDGER_HS256_SECRET", hide = true, hide_env_values = true)]
    pub(crate) secret: Option<SecretString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["runledger"].iter().chain(line))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_tells_what_the_exit_codes_mean() {
        assert!(Cli::command().render_help().to_string().contains("Exit codes:"));
    }

    #[test]
    fn a_submission_takes_files_and_what_goes_with_them() {
        let line = [
            "submit",
            "main.c",
            "lib.c",
            "--language",
            "c",
            "--case",
            "1:2",
            "--case",
            "3:4",
            "--args",
            "-v",
            "--limit",
            "cpu_time_ms=1000",
            "--watch",
            "--json",
        ];
        assert!(matches!(parse(&line).unwrap().command, Command::Submit(_)));
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for bad in [
            &[][..],
            &["submit"],
            &["submit", "a.py", "--case", "x"],
            &["submit", "a.py", "--limit", "x"],
            &["submit", "a.py", "--stdin", "x", "--case", "a:b"],
            &["watch"],
            &["show", "not-an-id", "more"],
            &["token", "mint", "--scope", "submit"],
            &["--retries", "1000", "languages"],
            &["nothing"],
        ] {
            let error = parse(bad).err();
            assert_eq!(
                error.map(|error| error.exit_code()),
                Some(i32::from(exit::USAGE)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn server_options_may_stand_on_either_side_of_the_command() {
        for line in [["--url", "http://x", "show", "1"], ["show", "1", "--url", "http://x"]] {
            assert_eq!(parse(&line).unwrap().server.url, "http://x");
        }
    }
}
