//! `runledger quarantine`: what the ledger holds besides events.

use std::process::ExitCode;

use clap::Args;
use client::{QuarantineEntry, QuarantineList};

use super::{OpenServer, output, output_json};
use crate::error::CliError;
use crate::render::{Align, TextTable, printable};

/// What `quarantine` takes.
#[derive(Debug, Args)]
pub(crate) struct QuarantineArgs {
    /// How many messages to show, the last first
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,

    /// Go on where a page ended, by its `next`
    #[arg(long)]
    cursor: Option<String>,

    /// Print the server's JSON, which has the bytes, too
    #[arg(long)]
    json: bool,
}

/// Lists foreign messages.
pub(crate) async fn run(server: &OpenServer, args: &QuarantineArgs) -> Result<ExitCode, CliError> {
    let answer = server.client.quarantine(args.limit, args.cursor.as_deref()).await?;
    if args.json {
        output_json(&answer.read()?)?;
    } else {
        let QuarantineList { items, next } = answer.read()?;
        let more = next.map(|next| format!("more: --cursor {next}\n")).unwrap_or_default();
        output(|_| format!("{}{more}", table(&items)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(messages: &[QuarantineEntry]) -> String {
    let mut table = TextTable::new([
        ("sequence", Align::Right),
        ("time", Align::Left),
        ("bytes", Align::Right),
        ("sha256", Align::Left),
        ("subject", Align::Left),
        ("reason", Align::Left),
    ]);
    for message in messages {
        table.row([
            message.sequence.to_string(),
            message.stored_at.clone(),
            message.length.to_string(),
            message.sha256.clone(),
            printable(message.subject.as_bytes()),
            printable(message.reason.as_bytes()),
        ]);
    }
    table.render()
}
