//! `runledger languages`: what the server can run.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{output, output_json};
use crate::api::Api;
use crate::failure::Failure;
use crate::render::{Align, Table};
use crate::view::{KnownLanguage, Languages};

/// What `languages` takes.
#[derive(Debug, Args)]
pub(crate) struct LanguagesArgs {
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Lists them.
pub(super) async fn run(api: &Api, args: &LanguagesArgs) -> Result<ExitCode, Failure> {
    let (answer, languages) = list(api).await?;
    if args.json {
        output_json(&answer)?;
    } else {
        output(|_| table(&languages))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for the languages.
pub(super) async fn list(api: &Api) -> Result<(Value, Vec<KnownLanguage>), Failure> {
    let answer: Value = api.get(&["v1", "languages"], &[], Duration::ZERO).await?.json()?;
    let languages = Languages::read(&answer)?;
    Ok((answer, languages.languages))
}

fn table(languages: &[KnownLanguage]) -> String {
    let columns = ["language", "name", "version", "extensions", "also known as"];
    let mut table = Table::new(columns.map(|column| (column, Align::Left)));
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
