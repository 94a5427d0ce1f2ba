//! Cases from the command line and from directories.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::escapes::split_at_colon;
use super::{Input, parse_side};
use crate::error::CliError;

/// The most cases that are read from one directory: more than any server takes.
const CASES_MAX: usize = 10_000;

/// One case, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaseInput {
    /// What it is called.
    pub(crate) name: Option<String>,
    /// Standard input.
    pub(crate) stdin: Input,
    /// The right output.
    pub(crate) expected: Input,
}

/// Understands `IN:OUT`.
pub(crate) fn parse_case(argument: &str) -> Result<CaseInput, String> {
    let (stdin, expected) =
        split_at_colon(argument).ok_or("a case is IN:OUT; a colon inside IN is written \\:")?;
    Ok(CaseInput { name: None, stdin: parse_side(stdin)?, expected: parse_side(expected)? })
}

/// Returns the cases in a directory, each `NAME.in` with its `NAME.out`, ordered by name.
pub(crate) fn cases_in(dir: &Path) -> Result<Vec<CaseInput>, CliError> {
    let mut inputs = inputs_in(dir)?;
    if inputs.is_empty() {
        // The wrong directory, most likely: without cases the program would run and not be judged.
        return Err(CliError::Usage(format!("{} has no *.in file", dir.display())));
    }
    if inputs.len() > CASES_MAX {
        return Err(CliError::Usage(format!("{} has more than {CASES_MAX} cases", dir.display())));
    }
    inputs.sort_by_cached_key(|path| natural_order(&path.to_string_lossy()));
    inputs.into_iter().map(case_of_pair).collect()
}

fn inputs_in(dir: &Path) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = |source| CliError::File { path: dir.to_owned(), source };
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() == Some(OsStr::new("in")) {
            inputs.push(path);
        }
    }
    Ok(inputs)
}

fn case_of_pair(stdin: PathBuf) -> Result<CaseInput, CliError> {
    let expected = stdin.with_extension("out");
    // Found here rather than when it is read, so that the message can name the pair.
    if !expected.is_file() {
        let (stdin, expected) = (stdin.display(), expected.display());
        return Err(CliError::Usage(format!("{stdin} has no {expected} beside it")));
    }
    let name = stdin.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(CaseInput { name, stdin: Input::File(stdin), expected: Input::File(expected) })
}

/// Returns a key that orders texts as people do: `2` before `10`.
fn natural_order(text: &str) -> Vec<(usize, String)> {
    let mut runs: Vec<(usize, String)> = Vec::new();
    let mut in_number = false;
    for char in text.chars() {
        let digit = char.is_ascii_digit();
        match runs.last_mut() {
            Some((_, run)) if digit == in_number => run.push(char),
            Some(_) | None => runs.push((0, char.to_string())),
        }
        in_number = digit;
    }
    for (length, run) in &mut runs {
        if run.starts_with(|char: char| char.is_ascii_digit()) {
            *run = run.trim_start_matches('0').to_owned();
            // Of two numbers without leading zeros the longer one is the greater.
            *length = run.len();
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_two_sides_each_a_text_or_a_file() {
        let case = parse_case(r"1 2\n:@out.txt").unwrap();
        let expected = CaseInput {
            name: None,
            stdin: Input::Text(b"1 2\n".to_vec()),
            expected: Input::File("out.txt".into()),
        };
        assert_eq!(case, expected);
        for bad in ["no colon", "@:x", "x:@", r"\q:x"] {
            assert!(parse_case(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_in_a_directory_come_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["10", "9", "1"] {
            std::fs::write(dir.path().join(name).with_extension("in"), name).unwrap();
            std::fs::write(dir.path().join(name).with_extension("out"), name).unwrap();
        }
        std::fs::write(dir.path().join("README"), "").unwrap();
        let names: Vec<_> =
            cases_in(dir.path()).unwrap().into_iter().filter_map(|case| case.name).collect();
        assert_eq!(names, ["1", "9", "10"]);
    }

    #[test]
    fn a_directory_without_pairs_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(cases_in(dir.path()), Err(CliError::Usage(_))));
        std::fs::write(dir.path().join("a.in"), "").unwrap();
        let alone = cases_in(dir.path()).unwrap_err().to_string();
        assert!(alone.contains("a.out"), "{alone}");
    }
}
