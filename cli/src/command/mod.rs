//! The commands, a file each: what each takes and what it does.

pub(crate) mod cancel;
pub(crate) mod events;
pub(crate) mod languages;
pub(crate) mod quarantine;
pub(crate) mod show;
pub(crate) mod submit;
pub(crate) mod token;
pub(crate) mod watch;

use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use client::Client;
use secrecy::SecretString;
use serde_json::Value;

use crate::error::CliError;
use crate::render::Style;
use crate::spinner::Spinner;

/// The server to ask, and the token to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// The server's address
    #[arg(long, global = true, env = "RUNLEDGER_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,

    /// The bearer token; better set by the environment, since other users can see command lines
    #[arg(long, global = true, env = "RUNLEDGER_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<SecretString>,

    /// How often to retry when the server is not available
    // Five retries wait six seconds in all, which outlasts the restart of a service.
    #[arg(long, global = true, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) retries: u32,
}

/// A server to ask, and the spinner that shows that the program waits for it.
#[derive(Debug)]
pub(crate) struct OpenServer {
    client: Client,
    spinner: Spinner,
}

impl ServerArgs {
    /// Prepares to ask the server; sends nothing yet.
    pub(crate) fn open(self) -> Result<OpenServer, CliError> {
        let missing =
            || CliError::Usage("no token: set RUNLEDGER_TOKEN, or give --token".to_owned());
        let token = self.token.ok_or_else(missing)?;
        let spinner = Spinner::on_stderr();
        let notes = spinner.clone();
        let client =
            Client::new(&self.url, Some(&token))?.retrying(self.retries, move |error, wait| {
                notes.note(&format!("{error}; trying again in {} ms", wait.as_millis()));
            });
        Ok(OpenServer { client, spinner })
    }
}

/// Writes the output of a command, with colours only on a terminal.
fn output(render: impl FnOnce(Style) -> String) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    let text = render(Style::for_terminal(stdout.is_terminal()));
    stdout.write_all(text.as_bytes())?;
    // Otherwise a full disk would only show when the process ends, and nothing could report it.
    stdout.flush()?;
    Ok(())
}

/// Writes JSON as the server sent it, but indented.
fn output_json(value: &Value) -> Result<(), CliError> {
    output(|_| format!("{value:#}\n"))
}
