//! The program itself: `source` or `files`.

use std::collections::BTreeSet;

use events::FileName;
use platform::json::{Faults, Pointer};

use super::encoding::Encoding;
use crate::submission::bounds::FILES_MAX;
use crate::submission::draft::DraftFile;
use crate::submission::request::ValidFile;

/// The two ways to send a program, and what a bare source is called.
pub(super) struct Given<'a> {
    pub(super) source: Option<String>,
    pub(super) files: Option<Vec<DraftFile>>,
    pub(super) entry: &'a str,
}

/// Takes the files; exactly one of the two ways must be used.
pub(super) fn check(given: Given<'_>, encoding: Encoding, faults: &mut Faults) -> Vec<ValidFile> {
    let root = Pointer::root();
    match (given.source, given.files) {
        (None, None) => {
            faults.push(&root, "one of source and files is required");
            Vec::new()
        }
        (Some(_), Some(_)) => {
            faults.push(&root.key("files"), "source and files exclude each other");
            Vec::new()
        }
        (Some(source), None) => check_source(source, given.entry, encoding, faults),
        (None, Some(files)) => check_files(files, encoding, faults),
    }
}

fn check_source(
    source: String,
    entry: &str,
    encoding: Encoding,
    faults: &mut Faults,
) -> Vec<ValidFile> {
    let at = Pointer::root().key("source");
    if source.is_empty() {
        faults.push(&at, EMPTY);
        return Vec::new();
    }
    let name = entry.parse().expect("languages.toml names files by plain names, which is tested");
    vec![ValidFile { name, content: encoding.decode(source, &at, faults) }]
}

const EMPTY: &str = "is empty: there is nothing to run";

fn check_files(files: Vec<DraftFile>, encoding: Encoding, faults: &mut Faults) -> Vec<ValidFile> {
    let at = Pointer::root().key("files");
    if files.is_empty() {
        faults.push(&at, EMPTY);
    }
    if files.len() > FILES_MAX {
        faults.push(&at, format!("has {} files, more than {FILES_MAX}", files.len()));
    }
    if files.first().is_some_and(|entry| entry.content.is_empty()) {
        faults.push(&at.index(0).key("content"), EMPTY);
    }
    let check_file = |(index, file): (usize, DraftFile)| {
        let at = at.index(index);
        let name = file.name.parse::<FileName>();
        let name = name.map_err(|error| faults.push(&at.key("name"), error.to_string()));
        let content = encoding.decode(file.content, &at.key("content"), faults);
        name.ok().map(|name| (index, ValidFile { name, content }))
    };
    let files: Vec<(usize, ValidFile)> =
        files.into_iter().enumerate().filter_map(check_file).collect();
    check_paths(&files, &at, faults);
    files.into_iter().map(|(_, file)| file).collect()
}

/// No path may stand twice, and none may be the directory of another. Names are valid here, and so short.
fn check_paths(files: &[(usize, ValidFile)], at: &Pointer, faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    let directories: BTreeSet<&str> =
        files.iter().flat_map(|(_, file)| parents(file.name.as_str())).collect();
    for (index, file) in files {
        let name = file.name.as_str();
        if !seen.insert(name) {
            faults.push(&at.index(*index).key("name"), "is the name of an earlier file");
        } else if directories.contains(name) {
            faults.push(&at.index(*index).key("name"), "is the directory of another file");
        }
    }
}

fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(end, _)| name.get(..end))
}
