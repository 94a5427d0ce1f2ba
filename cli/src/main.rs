//! `runledger`: submits programs, watches them, and reads the ledger's record of them. Talks to a
//! server only over HTTP, and decides nothing about verdicts.

mod args;
mod command;
mod error;
mod exit;
mod input;
mod render;
mod spinner;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use platform::telemetry::error_chain;

use crate::args::{Cli, CliCommand, TokenCommand};
use crate::command::{cancel, events, languages, quarantine, show, submit, token, watch};
use crate::error::CliError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        // The reader of our output has closed the pipe, as `head` does: it has read enough.
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed there is nowhere left to report to.
            drop(writeln!(std::io::stderr().lock(), "runledger: {}", error_chain(&error)));
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let server = cli.server;
    match cli.command {
        CliCommand::Submit(args) => submit::run(&server.open()?, *args).await,
        CliCommand::Watch(args) => watch::run(&server.open()?, &args).await,
        CliCommand::Show(args) => show::run(&server.open()?, &args).await,
        CliCommand::Events(args) => events::run(&server.open()?, &args).await,
        CliCommand::Cancel(args) => cancel::run(&server.open()?, &args).await,
        CliCommand::Languages(args) => languages::run(&server.open()?, &args).await,
        CliCommand::Quarantine(args) => quarantine::run(&server.open()?, &args).await,
        CliCommand::Token(TokenCommand::Mint(args)) => token::run(&args),
    }
}
