//! `cell-init`: process 1 of a cell. It takes framed requests on standard input, runs programs
//! under uids of their own, and answers on standard output. It knows nothing of Docker, languages
//! or verdicts.

mod capture;
mod cell;
mod exec;
mod fault;
mod hold;
mod limit_watch;
mod meter;
mod process;
mod run_queue;
mod serve;
mod spawn;
mod stage;
mod sys;
mod wipe;
mod write;

use std::io::Write;
use std::process::ExitCode;

use fault::CellFault;

const USAGE: &str = "cell-init serve --uid-base N | cell-init hold";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(fault) => {
            // If standard error is closed, too, there is no other place to say it.
            drop(writeln!(std::io::stderr(), "cell-init: {fault}"));
            ExitCode::FAILURE
        }
    }
}

/// Executors call the first two. `serve` has children do the others, under another uid.
fn dispatch(arguments: &[&str]) -> Result<ExitCode, CellFault> {
    match arguments {
        ["serve", "--uid-base", base] => serve::serve(parse_uid_base(base)?),
        ["hold"] => hold::hold(),
        ["exec", setup @ ..] => exec::exec(setup),
        ["write", directory] => write::write_files(directory),
        ["wipe", directories @ ..] => wipe::wipe(directories),
        _ => Err(CellFault::new(format!("usage: {USAGE}"))),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Smaller uids belong to people and services of an ordinary host, and a uid in a cell is the same
/// uid on the host.
const UID_BASE_MIN: u32 = 10_000;

fn parse_uid_base(text: &str) -> Result<u32, CellFault> {
    let base =
        text.parse().map_err(|error| CellFault::new(format!("--uid-base {text:?}: {error}")))?;
    if (UID_BASE_MIN..u32::MAX - cell::UIDS).contains(&base) {
        Ok(base)
    } else {
        Err(CellFault::new(format!("--uid-base must be at least {UID_BASE_MIN}")))
    }
}
