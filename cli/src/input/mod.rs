//! Bytes that the command line names: texts with escapes, `@file`, and `-` for standard input.

mod cases;
mod escapes;
mod names;
mod options;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(crate) use self::cases::{CaseInput, cases_in, parse_case};
pub(crate) use self::names::names_in_box;
pub(crate) use self::options::{parse_checker, parse_limit};
use crate::error::CliError;

/// The most that is read from one file, which is more than any server takes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// From the command line.
    Text(Vec<u8>),
    /// From a file.
    File(PathBuf),
    /// From our standard input.
    Stdin,
}

impl Input {
    /// Reads the bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, CliError> {
        match self {
            Self::Text(bytes) => Ok(bytes.clone()),
            Self::File(path) => read_file(path),
            Self::Stdin => read_bounded(std::io::stdin().lock(), Path::new("standard input")),
        }
    }
}

/// Understands `TEXT`, `@file` and `-`.
pub(crate) fn parse_input(argument: &str) -> Result<Input, String> {
    if argument == "-" { Ok(Input::Stdin) } else { parse_side(argument) }
}

/// Understands `TEXT` and `@file`.
fn parse_side(argument: &str) -> Result<Input, String> {
    match argument.strip_prefix('@') {
        Some("") => {
            Err("there is no file name after @; a text that begins with @ is written \\@"
                .to_owned())
        }
        Some(path) => Ok(Input::File(PathBuf::from(path))),
        None => escapes::unescape(argument).map(Input::Text),
    }
}

/// Reads a whole file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, CliError> {
    let file = std::fs::File::open(path)
        .map_err(|source| CliError::File { path: path.to_owned(), source })?;
    read_bounded(file, path)
}

fn read_bounded(reader: impl std::io::Read, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // Bounded, since a wrong name such as /dev/zero would fill the memory. One byte more than the
    // limit tells a file that is too large from one that just fits.
    reader
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| CliError::File { path: path.to_owned(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let mib = FILE_BYTES_MAX / (1024 * 1024);
        return Err(CliError::Usage(format!("{} is larger than {mib} MiB", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_text_a_file_or_standard_input() {
        assert_eq!(parse_input("a\\nb"), Ok(Input::Text(b"a\nb".to_vec())));
        assert_eq!(parse_input(""), Ok(Input::Text(Vec::new())));
        assert_eq!(parse_input("@dir/in.txt"), Ok(Input::File("dir/in.txt".into())));
        assert_eq!(parse_input("\\@home"), Ok(Input::Text(b"@home".to_vec())));
        assert_eq!(parse_input("-"), Ok(Input::Stdin));
        assert_eq!(parse_input("-1"), Ok(Input::Text(b"-1".to_vec())));
        assert!(parse_input("@").unwrap_err().contains("no file name"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read_file(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /no/such/file");
    }
}
