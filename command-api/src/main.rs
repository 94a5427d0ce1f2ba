//! `command-api`: takes submissions in over HTTP and writes them to the ledger.

use std::process::ExitCode;

use platform::service::ServiceCommand;

fn main() -> ExitCode {
    let command = ServiceCommand {
        name: "command-api",
        about: "Takes submissions in over HTTP and writes them to the ledger",
        defaults: command_api::config::DEFAULTS,
    };
    command.main(command_api::service::run)
}
