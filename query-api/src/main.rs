//! `query-api`: answers about submissions and progress.

use std::process::ExitCode;

use platform::service::ServiceCommand;

fn main() -> ExitCode {
    let command = ServiceCommand {
        name: "query-api",
        about: "Answers about submissions and progress over HTTP",
        defaults: query_api::config::DEFAULTS,
    };
    command.main(query_api::service::run)
}
