//! `runledger`: submits programs, watches them, and reads the ledger's record of them. Talks to a server only over HTTP, and
//! decides nothing about verdicts.

mod api;
mod args;
mod command;
mod exit;
mod failure;
mod input;
mod progress;
mod render;
mod request;
mod view;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::failure::Failure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match command::run(Cli::parse()).await {
        Ok(code) => code,
        // Whoever closed the pipe has read enough.
        Err(failure) if failure.is_closed_output() => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            failure.exit_code()
        }
    }
}

/// Says what went wrong, with every cause, in one place.
fn report(failure: &Failure) {
    let first: Option<&(dyn Error + 'static)> = Some(failure);
    let causes = std::iter::successors(first, |&error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // With standard error gone there is nobody to tell.
    drop(writeln!(std::io::stderr().lock(), "runledger: {text}"));
}
