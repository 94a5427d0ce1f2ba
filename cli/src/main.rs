//! `runledger`: submits programs, watches them, and reads the ledger's record of them. Talks to a
//! server only over HTTP, and decides nothing about verdicts.

mod args;
mod command;
mod exit;
mod failure;
mod input;
mod progress;
mod render;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command, TokenCommand};
use crate::command::{cancel, events, languages, show, submit, token, watch};
use crate::failure::Failure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        // The reader of our output has closed the pipe, as `head` does: it has read enough.
        Err(failure) if failure.is_closed_output() => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let server = cli.server;
    match cli.command {
        Command::Submit(args) => submit::run(&server.open()?, *args).await,
        Command::Watch(args) => watch::run(&server.open()?, &args).await,
        Command::Show(args) => show::run(&server.open()?, &args).await,
        Command::Events(args) => events::run(&server.open()?, &args).await,
        Command::Cancel(args) => cancel::run(&server.open()?, &args).await,
        Command::Languages(args) => languages::run(&server.open()?, &args).await,
        Command::Token(TokenCommand::Mint(args)) => token::run(&args),
    }
}

/// Says what went wrong, with every cause, in one place.
fn report(failure: &Failure) {
    let first: Option<&(dyn Error + 'static)> = Some(failure);
    let causes = std::iter::successors(first, |&error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // When standard error is closed there is nowhere left to report to.
    drop(writeln!(std::io::stderr().lock(), "runledger: {text}"));
}
