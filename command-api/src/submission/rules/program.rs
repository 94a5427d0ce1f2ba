//! The program itself: `source` or `files`.

use std::collections::BTreeSet;

use events::FileName;
use events::event::SourceFile;
use platform::json::{Faults, JsonPointer, Object};

use super::encoding::Encoding;
use crate::submission::bounds::FILES_MAX;
use crate::submission::draft::DraftFile;

/// Takes the program: either one source, in a file that is called `entry`, or files, of which the
/// first is the entry.
pub(super) fn check_program(
    source: Option<String>,
    files: Option<Vec<Object<DraftFile>>>,
    entry: &str,
    encoding: Encoding,
    faults: &mut Faults,
) -> Vec<SourceFile> {
    let root = JsonPointer::root();
    match (source, files) {
        (None, None) => {
            faults.push(&root, "one of source and files is required");
            Vec::new()
        }
        (Some(_), Some(_)) => {
            faults.push(&root.key("files"), "must be left out where there is a source");
            Vec::new()
        }
        (Some(source), None) => check_source(source, entry, encoding, faults),
        (None, Some(files)) => check_files(files, encoding, faults),
    }
}

fn check_source(
    source: String,
    entry: &str,
    encoding: Encoding,
    faults: &mut Faults,
) -> Vec<SourceFile> {
    let at = JsonPointer::root().key("source");
    if source.is_empty() {
        faults.push(&at, EMPTY);
        return Vec::new();
    }
    let name = entry.parse().expect("the catalog checks that languages name files by plain names");
    vec![SourceFile { name, content: encoding.decode(source, &at, faults) }]
}

const EMPTY: &str = "is empty: there is nothing to run";

fn check_files(
    files: Vec<Object<DraftFile>>,
    encoding: Encoding,
    faults: &mut Faults,
) -> Vec<SourceFile> {
    let at = JsonPointer::root().key("files");
    if files.is_empty() {
        faults.push(&at, EMPTY);
    }
    if files.len() > FILES_MAX {
        faults.push(&at, format!("has {} files, more than {FILES_MAX}", files.len()));
    }
    if files.first().is_some_and(|entry| entry.0.content.is_empty()) {
        faults.push(&at.index(0).key("content"), EMPTY);
    }
    let check_file = |(index, Object(file)): (usize, Object<DraftFile>)| {
        let at = at.index(index);
        let name = file.name.parse::<FileName>();
        let name = name.map_err(|error| faults.push(&at.key("name"), error.to_string()));
        let content = encoding.decode(file.content, &at.key("content"), faults);
        // The index is kept, since a file whose name is not valid is left out here.
        name.ok().map(|name| (index, SourceFile { name, content }))
    };
    let files: Vec<(usize, SourceFile)> =
        files.into_iter().enumerate().filter_map(check_file).collect();
    check_paths(&files, &at, faults);
    files.into_iter().map(|(_, file)| file).collect()
}

/// No path may stand twice, and none may be the directory of another.
fn check_paths(files: &[(usize, SourceFile)], at: &JsonPointer, faults: &mut Faults) {
    // Only valid names come here, so a path is short: one as deep as a body is long would take
    // minutes.
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
