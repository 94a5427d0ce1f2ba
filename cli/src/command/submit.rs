//! `runledger submit`: sends a program, and with `--watch` waits for its end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use platform::ids::{IdSource as _, RandomIds};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{SUBMISSIONS, languages, output, output_json, show, watch};
use crate::api::Api;
use crate::failure::Failure;
use crate::input::{CaseInput, Input, cases_in, parse_case, parse_input, read_file};
use crate::request::{Checker, Draft, DraftCase, names_in_box, parse_checker, parse_limit};
use crate::view::Standing;

const LIMIT_HELP: &str = "A limit, as cpu_time_ms=2000; also wall_time_ms, memory_kib, stack_kib, output_bytes, \
                          file_size_kib and processes. May be repeated";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What `submit` takes.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The program's files; the first is the entry
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The language; guessed from the first file's extension where absent
    #[arg(long, short)]
    language: Option<String>,

    /// Standard input of a run: TEXT with escapes such as \n, @FILE, or - for our own standard input
    #[arg(long, value_name = "TEXT", value_parser = parse_input, conflicts_with_all = ["cases", "cases_dir"], allow_hyphen_values = true)]
    stdin: Option<Input>,

    /// A case to judge by, IN:OUT; each side is TEXT with escapes such as \n and \:, or @FILE. May be repeated
    #[arg(long = "case", value_name = "IN:OUT", value_parser = parse_case, allow_hyphen_values = true)]
    cases: Vec<CaseInput>,

    /// A directory with pairs of NAME.in and NAME.out, each a case, after those of --case
    #[arg(long, value_name = "DIR")]
    cases_dir: Option<PathBuf>,

    /// An argument of the program. May be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,

    /// An option of the compiler. May be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    compiler_option: Vec<String>,

    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_limit, help = LIMIT_HELP)]
    limit: Vec<(String, u64)>,

    /// How outputs are compared: lines, exact, tokens, floats, or floats:TOLERANCE
    #[arg(long, value_parser = parse_checker)]
    checker: Option<Checker>,

    /// Leave out the cases after the first that fails
    #[arg(long)]
    stop_on_first_failure: bool,

    /// The key under which a repeated submission is the same one; a fresh one where absent
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Wait for the end, and show it; the exit code is that of the verdict
    #[arg(long, short)]
    watch: bool,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Submits, and shows where the submission stands, or how it ended.
pub(super) async fn run(api: &Api, args: SubmitArgs) -> Result<ExitCode, Failure> {
    let headers = idempotency(args.idempotency_key.as_deref())?;
    let (watch, json) = (args.watch, args.json);
    let body = draft(api, args).await?.to_json();
    api.progress().waiting_for("submitting".to_owned());
    let answer: Value = api.post(&SUBMISSIONS, Some(body), headers).await?.json()?;
    let standing = Standing::read(answer.clone())?;
    if watch {
        // On standard error, so that whoever breaks off knows what to watch.
        api.progress().note(&format!("{} {}", standing.state, standing.id));
        let ended = watch::until_ended(api, &standing.id, standing.sequence).await?;
        return show::present(&ended, json);
    }
    api.progress().end();
    if json {
        output_json(&answer)?;
    } else {
        let Standing { id, sequence, state } = &standing;
        output(|style| format!("{} {id} at sequence {sequence}\n", style.state(state)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every submission has a key, so that a retry after a lost answer can never run it twice.
fn idempotency(key: Option<&str>) -> Result<HeaderMap, Failure> {
    let fresh = || RandomIds.new_id().to_string();
    let key = key.map_or_else(fresh, str::to_owned);
    let value = HeaderValue::from_str(&key)
        .map_err(|_invalid| Failure::Usage("an idempotency key is visible ASCII".to_owned()))?;
    Ok(HeaderMap::from_iter([(IDEMPOTENCY_KEY, value)]))
}

async fn draft(api: &Api, args: SubmitArgs) -> Result<Draft, Failure> {
    let names = names_in_box(&args.files)?;
    let contents = args.files.iter().map(|path| read_file(path)).collect::<Result<Vec<_>, _>>()?;
    let mut cases = args.cases;
    if let Some(dir) = &args.cases_dir {
        cases.extend(cases_in(dir)?);
    }
    let stdin = args.stdin.as_ref().map(Input::read).transpose()?;
    let cases = cases.iter().map(read_case).collect::<Result<Vec<_>, _>>()?;
    let language = match args.language {
        Some(language) => language,
        None => guess(api, args.files.first().map(PathBuf::as_path)).await?,
    };
    Ok(Draft {
        language,
        files: names.into_iter().zip(contents).collect(),
        stdin,
        args: args.args,
        compiler_options: args.compiler_option,
        limits: args.limit,
        cases,
        checker: args.checker,
        stop_on_first_failure: args.stop_on_first_failure,
    })
}

fn read_case(case: &CaseInput) -> Result<DraftCase, Failure> {
    Ok(DraftCase {
        name: case.name.clone(),
        stdin: case.stdin.read()?,
        expected: case.expected.read()?,
    })
}

/// Asks the server which language has the extension, so that a new language needs no new client.
async fn guess(api: &Api, entry: Option<&Path>) -> Result<String, Failure> {
    let entry = entry.unwrap_or_else(|| Path::new(""));
    let unknown =
        |why: &str| Failure::Usage(format!("{}: {why}; give --language", entry.display()));
    let extension = entry.extension().and_then(|extension| extension.to_str());
    let extension =
        extension.ok_or_else(|| unknown("it has no extension to guess the language from"))?;
    let (_, languages) = languages::list(api).await?;
    let found = languages.into_iter().find(|language| language.has_extension(extension));
    found.map(|language| language.slug).ok_or_else(|| unknown("no language has this extension"))
}
