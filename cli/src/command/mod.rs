//! The commands, a file each: what each takes and what it does.

mod cancel;
mod events;
mod languages;
mod show;
mod submit;
mod token;
mod watch;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::Value;

pub(crate) use self::cancel::CancelArgs;
pub(crate) use self::events::EventsArgs;
pub(crate) use self::languages::LanguagesArgs;
pub(crate) use self::show::ShowArgs;
pub(crate) use self::submit::SubmitArgs;
pub(crate) use self::token::TokenArgs;
pub(crate) use self::watch::WatchArgs;
use crate::api::Api;
use crate::args::{Cli, Command, ServerArgs, TokenCommand};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::render::Style;

/// The path of all submissions.
const SUBMISSIONS: [&str; 2] = ["v1", "submissions"];

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Submit(args) => submit::run(&api(cli.server)?, *args).await,
        Command::Watch(args) => watch::run(&api(cli.server)?, &args).await,
        Command::Show(args) => show::run(&api(cli.server)?, &args).await,
        Command::Events(args) => events::run(&api(cli.server)?, &args).await,
        Command::Cancel(args) => cancel::run(&api(cli.server)?, &args).await,
        Command::Languages(args) => languages::run(&api(cli.server)?, &args).await,
        Command::Token(TokenCommand::Mint(args)) => token::run(&args),
    }
}

fn api(server: ServerArgs) -> Result<Api, Failure> {
    Api::new(&server.url, server.token, server.retries, Progress::on_stderr())
}

/// Writes the output of a command, colours only on a terminal.
fn output(render: impl FnOnce(Style) -> String) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let text = render(Style::for_terminal(stdout.is_terminal()));
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Writes JSON as the server gave it, only indented.
fn output_json(value: &Value) -> Result<(), Failure> {
    output(|_| format!("{value:#}\n"))
}

/// The path of a submission, or of something of it.
fn submission_path<'a>(id: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    SUBMISSIONS.iter().copied().chain([id]).chain(rest.iter().copied()).collect()
}
