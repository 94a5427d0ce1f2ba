//! `runledger languages`: what the server can run.

use std::process::ExitCode;

use clap::Args;
use client::{LanguageEntry, LanguageList};

use super::{OpenServer, output, output_json};
use crate::error::CliError;
use crate::render::{Align, TextTable};

/// What `languages` takes.
#[derive(Debug, Args)]
pub(crate) struct LanguagesArgs {
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Lists the languages.
pub(crate) async fn run(server: &OpenServer, args: &LanguagesArgs) -> Result<ExitCode, CliError> {
    let answer = server.client.languages().await?;
    if args.json {
        output_json(&answer.read()?)?;
    } else {
        let LanguageList { languages } = answer.read()?;
        output(|_| table(&languages))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(languages: &[LanguageEntry]) -> String {
    let columns = ["language", "name", "version", "extensions", "also known as"];
    let mut table = TextTable::new(columns.map(|column| (column, Align::Left)));
    for language in languages {
        table.row([
            language.slug.clone(),
            language.name.clone(),
            language.version.clone(),
            language.extensions.join(" "),
            language.aliases.join(" "),
        ]);
    }
    table.render()
}
