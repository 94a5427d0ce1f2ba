//! `executor`: takes submissions from the ledger, runs them in sandboxes and records what came of
//! them.

use std::process::ExitCode;

use platform::service::ServiceCommand;

fn main() -> ExitCode {
    let command = ServiceCommand {
        name: "executor",
        about: "Takes submissions from the ledger, runs them in sandboxes and records what came of them",
        defaults: executor::config::DEFAULTS,
    };
    command.main(executor::service::run)
}
