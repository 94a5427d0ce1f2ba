//! The command line: which commands and options there are. What a command takes stands beside what
//! it does, in `command`.

use clap::{Parser, Subcommand};

use crate::command::ServerArgs;
use crate::command::cancel::CancelArgs;
use crate::command::events::EventsArgs;
use crate::command::languages::LanguagesArgs;
use crate::command::quarantine::QuarantineArgs;
use crate::command::show::ShowArgs;
use crate::command::submit::SubmitArgs;
use crate::command::token::TokenArgs;
use crate::command::watch::WatchArgs;
use crate::exit;

/// Submits programs to Runledger, watches them, and reads the ledger's record of them.
#[derive(Debug, Parser)]
#[command(name = "runledger", version, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// The server to ask.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Submit a program
    // Boxed, since it is many times as large as the others.
    Submit(Box<SubmitArgs>),
    /// Wait until a submission has ended, and show it
    Watch(WatchArgs),
    /// Show a submission as it is now
    Show(ShowArgs),
    /// Show the ledger's record of a submission
    Events(EventsArgs),
    /// Cancel a submission
    Cancel(CancelArgs),
    /// List the languages that the server knows
    Languages(LanguagesArgs),
    /// List foreign messages: what the ledger holds besides events; for operators
    Quarantine(QuarantineArgs),
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
    fn each_word_leads_to_its_command() {
        let command = |line: &[&str]| parse(line).unwrap().command;
        assert!(matches!(command(&["submit", "main.c"]), CliCommand::Submit(_)));
        assert!(matches!(command(&["watch", "1"]), CliCommand::Watch(_)));
        assert!(matches!(command(&["show", "1"]), CliCommand::Show(_)));
        assert!(matches!(command(&["events", "1"]), CliCommand::Events(_)));
        assert!(matches!(command(&["cancel", "1"]), CliCommand::Cancel(_)));
        assert!(matches!(command(&["languages"]), CliCommand::Languages(_)));
        assert!(matches!(command(&["quarantine"]), CliCommand::Quarantine(_)));
        let mint = ["token", "mint", "--sub", "student-17", "--scope", "submit"];
        assert!(matches!(command(&mint), CliCommand::Token(TokenCommand::Mint(_))));
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
