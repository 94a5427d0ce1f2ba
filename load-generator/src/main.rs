//! `load-generator`: whole submissions into the ledger, without HTTP and without cells, as fast as
//! the ledger takes them. `cargo dev bench ledger` measures with it; nothing else has a use for it.

mod generator;
mod samples;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand};
use ledger::{Connection, NatsLogin};
use platform::clock::SystemClock;
use platform::config::{NatsConfig, load};
use serde::{Deserialize, Serialize};

use self::generator::Generator;

/// Appends submissions to a ledger that has none but such submissions
#[derive(Debug, Parser)]
#[command(name = "load-generator", version)]
struct GeneratorArgs {
    #[command(subcommand)]
    task: GeneratorTask,
    /// How many users submit in turn
    #[arg(long, global = true, default_value_t = 200)]
    principals: u64,
}

#[derive(Debug, Subcommand)]
enum GeneratorTask {
    /// Append submissions from the acceptance to the verdict: three events each
    Append {
        /// How many
        submissions: u64,
        /// How many are written at once
        #[arg(long, default_value_t = 64)]
        writers: u64,
    },
    /// Append acceptances alone, one after the other
    Accept {
        /// How many
        submissions: u64,
    },
}

/// `RUNLEDGER__NATS__...`, which services read as well.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneratorConfig {
    nats: NatsConfig,
}

/// What was appended, in one line of JSON.
#[derive(Debug, Serialize)]
struct Appended {
    submissions: u64,
    seconds: f64,
    /// How long an acceptance took at the median.
    accept_p50_ms: f64,
    /// How long 99 of 100 acceptances took at most.
    accept_p99_ms: f64,
    last_sequence: u64,
    ledger_bytes: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(GeneratorArgs::parse()).await {
        Ok(appended) => {
            let line = serde_json::json!(appended);
            // If standard output is closed, the exit code is all that is left to tell.
            let _unheard = writeln!(std::io::stdout().lock(), "{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _unheard = writeln!(std::io::stderr().lock(), "load-generator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: GeneratorArgs) -> Result<Appended> {
    let config: GeneratorConfig = load(include_str!("../defaults.toml"), None)?;
    let login = NatsLogin::new(&config.nats.user, &config.nats.password);
    let connection = Connection::open(&config.nats.url, &login, "load-generator").await?;
    let ledger = connection.ledger(Arc::new(SystemClock));
    let generator = Arc::new(Generator::new(ledger.clone(), arguments.principals)?);
    let begun = Instant::now();
    let (submissions, mut accepts) = match arguments.task {
        GeneratorTask::Append { submissions, writers } => {
            (submissions, generator.append(submissions, writers).await?)
        }
        GeneratorTask::Accept { submissions } => {
            (submissions, generator.accept(submissions).await?)
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    accepts.sort_unstable();
    let usage = ledger.usage().await?;
    Ok(Appended {
        submissions,
        seconds,
        accept_p50_ms: percentile(&accepts, 50).as_secs_f64() * 1_000.0,
        accept_p99_ms: percentile(&accepts, 99).as_secs_f64() * 1_000.0,
        last_sequence: usage.last_sequence,
        ledger_bytes: usage.bytes,
    })
}

/// The nearest-rank percentile of sorted times; zero of none.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let ranks = [50, 99, 100].map(|percent| percentile(&times, percent).as_millis());
        assert_eq!(ranks, [100, 198, 200]);
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
