//! `runledger submit`: sends a program, and with `--watch` waits for its end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use client::{LanguageList, NamedChecker, NewCase, NewSubmission, Submitted};
use events::IdSource;
use platform::ids::RandomIds;

use super::{OpenServer, output, output_json, show, watch};
use crate::error::CliError;
use crate::input::{
    CaseInput, Input, cases_in, names_in_box, parse_case, parse_checker, parse_input, parse_limit,
    read_file,
};

const LIMIT_HELP: &str = "A limit, as cpu_time_ms=2000; also wall_time_ms, memory_kib, stack_kib, output_bytes, \
                          file_size_kib and processes. May be repeated";

/// What `submit` takes.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The program's files; the first is the entry
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The language; if absent, guessed from the first file's extension
    #[arg(long, short)]
    language: Option<String>,

    /// Standard input of the program: TEXT with escapes such as \n, @FILE, or - for standard input
    /// of this command
    #[arg(long, value_name = "TEXT", value_parser = parse_input, conflicts_with_all = ["cases", "cases_dir"], allow_hyphen_values = true)]
    stdin: Option<Input>,

    /// A case to judge the program by; each side is TEXT with escapes such as \n and \:, or @FILE.
    /// May be repeated
    #[arg(long = "case", value_name = "IN:OUT", value_parser = parse_case, allow_hyphen_values = true)]
    cases: Vec<CaseInput>,

    /// A directory with pairs of NAME.in and NAME.out. Each pair is a case, after those of --case
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
    checker: Option<NamedChecker>,

    /// Skip the cases after the first that fails
    #[arg(long)]
    stop_on_first_failure: bool,

    /// The key by which the server recognises a repeated submission; if absent, a new one
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Wait until it has ended, and show the result; the exit code tells the verdict
    #[arg(long, short)]
    watch: bool,

    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Submits, and shows the state of the submission, or how it ended.
pub(crate) async fn run(server: &OpenServer, mut args: SubmitArgs) -> Result<ExitCode, CliError> {
    // Every submission has a key, so that a retry after a lost answer can never run it twice.
    let key = args.idempotency_key.take().unwrap_or_else(|| RandomIds.new_id().to_string());
    // Before files are read and languages asked for: the server may be away.
    client::idempotency_header(&key)?;
    let (watch, json) = (args.watch, args.json);
    let submission = submission(server, args).await?;
    server.spinner.waiting_for("submitting".to_owned());
    let answer = server.client.submit(&submission, Some(&key)).await?;
    let Submitted { id, sequence, state } = answer.read()?;
    if watch {
        // On standard error, so that a person who presses Ctrl-C knows what to watch later.
        server.spinner.note(&format!("{state} {id}"));
        let ended = watch::until_ended(server, &id, sequence).await?;
        return show::present(&ended, json);
    }
    server.spinner.end();
    if json {
        output_json(&answer.read()?)?;
    } else {
        output(|style| format!("{} {id} at sequence {sequence}\n", style.state(&state)))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn submission(server: &OpenServer, args: SubmitArgs) -> Result<NewSubmission, CliError> {
    let names = names_in_box(&args.files)?;
    let contents = args.files.iter().map(|path| read_file(path)).collect::<Result<Vec<_>, _>>()?;
    let mut cases = args.cases;
    if let Some(dir) = &args.cases_dir {
        cases.extend(cases_in(dir)?);
    }
    let stdin = args.stdin.as_ref().map(Input::read).transpose()?;
    let cases = cases.iter().map(read_case).collect::<Result<Vec<_>, _>>()?;
    // Last, so that a wrong file name is reported before anything is sent.
    let language = match args.language {
        Some(language) => language,
        None => guess(server, args.files.first().map(PathBuf::as_path)).await?,
    };
    Ok(NewSubmission {
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

fn read_case(case: &CaseInput) -> Result<NewCase, CliError> {
    Ok(NewCase {
        name: case.name.clone(),
        stdin: case.stdin.read()?,
        expected: case.expected.read()?,
    })
}

/// Asks the server which language has the extension.
async fn guess(server: &OpenServer, entry: Option<&Path>) -> Result<String, CliError> {
    let entry = entry.unwrap_or_else(|| Path::new(""));
    let unknown =
        |why: &str| CliError::Usage(format!("{}: {why}; give --language", entry.display()));
    let extension = entry.extension().and_then(|extension| extension.to_str());
    let extension =
        extension.ok_or_else(|| unknown("it has no extension to guess the language from"))?;
    // The server's list, not one of our own: a new language then needs no new client.
    let LanguageList { languages } = server.client.languages().await?.read()?;
    let found = languages.into_iter().find(|language| language.has_extension(extension));
    found.map(|language| language.slug).ok_or_else(|| unknown("no language has this extension"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        submit: SubmitArgs,
    }

    fn parse(line: &[&str]) -> SubmitArgs {
        Line::try_parse_from(["submit"].iter().chain(line)).unwrap().submit
    }

    #[test]
    fn every_option_arrives_as_it_was_given() {
        let line = [
            "main.c",
            "lib.c",
            "--language",
            "c",
            "--case",
            "1:2",
            "--case",
            "3:@4.out",
            "--cases-dir",
            "cases",
            "--args",
            "-v",
            "--args",
            "x",
            "--compiler-option",
            "-O3",
            "--limit",
            "cpu_time_ms=1000",
            "--checker",
            "floats:0.5",
            "--stop-on-first-failure",
            "--idempotency-key",
            "mine",
            "--watch",
            "--json",
        ];
        let args = parse(&line);

        assert_eq!(args.files, ["main.c", "lib.c"].map(PathBuf::from));
        assert_eq!(args.language.as_deref(), Some("c"));
        assert_eq!(args.cases, [parse_case("1:2").unwrap(), parse_case("3:@4.out").unwrap()]);
        assert_eq!(args.cases_dir, Some(PathBuf::from("cases")));
        assert_eq!(args.args, ["-v", "x"]);
        assert_eq!(args.compiler_option, ["-O3"]);
        assert_eq!(args.limit, [("cpu_time_ms".to_owned(), 1_000)]);
        assert_eq!(args.checker, Some(parse_checker("floats:0.5").unwrap()));
        assert_eq!(args.idempotency_key.as_deref(), Some("mine"));
        assert!(args.stop_on_first_failure && args.watch && args.json);
    }

    #[test]
    fn what_is_not_given_is_left_to_the_server() {
        let args = parse(&["main.py", "--stdin", "-"]);

        assert_eq!((args.language, args.stdin), (None, Some(Input::Stdin)));
        assert!(args.cases.is_empty() && args.limit.is_empty() && args.checker.is_none());
        assert!(!args.stop_on_first_failure && !args.watch && !args.json);
    }
}
