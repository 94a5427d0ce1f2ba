//! The names of a program's files inside of its cell.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::error::CliError;

/// Names files relative to the deepest directory that contains all of them.
pub(crate) fn names_in_box(paths: &[PathBuf]) -> Result<Vec<String>, CliError> {
    let dirs: Vec<Vec<Component<'_>>> = paths
        .iter()
        .map(|path| {
            path.parent().unwrap_or_else(|| Path::new("")).components().filter(is_step).collect()
        })
        .collect();
    let shared = (0..).take_while(|&at| {
        let first = dirs.first().and_then(|dir| dir.get(at));
        first.is_some() && dirs.iter().all(|dir| dir.get(at) == first)
    });
    let shared = shared.count();
    paths
        .iter()
        .zip(&dirs)
        .map(|(path, dir)| name_in_box(path, dir.get(shared..).unwrap_or(&[])))
        .collect()
}

fn is_step(component: &Component<'_>) -> bool {
    // `./src` and `src` are the same directory.
    *component != Component::CurDir
}

fn name_in_box(path: &Path, dir: &[Component<'_>]) -> Result<String, CliError> {
    let refuse = |why: &str| CliError::Usage(format!("{}: {why}", path.display()));
    let file = path.file_name().ok_or_else(|| refuse("this is not a file"))?;
    // `..` would lead out of the cell's directory, and the server refuses it.
    if dir.iter().any(|step| !matches!(step, Component::Normal(_))) {
        return Err(refuse("it lies outside the directory of the other files"));
    }
    let steps: Option<Vec<&str>> =
        dir.iter().map(|step| step.as_os_str()).chain([file]).map(OsStr::to_str).collect();
    steps.map(|steps| steps.join("/")).ok_or_else(|| refuse("its name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_directory_that_they_share() {
        let names = |paths: &[&str]| {
            names_in_box(&paths.iter().map(PathBuf::from).collect::<Vec<_>>()).ok()
        };
        let expect = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(&["/home/me/main.py"]), expect(&["main.py"]));
        assert_eq!(names(&["src/main.c", "./src/lib/a.h"]), expect(&["main.c", "lib/a.h"]));
        assert_eq!(names(&["main.c", "lib/a.h"]), expect(&["main.c", "lib/a.h"]));
        assert_eq!(names(&["../x/main.c", "../x/a.h"]), expect(&["main.c", "a.h"]));
        assert_eq!(names(&["main.c", "../a.h"]), None);
        assert_eq!(names(&[".."]), None);
    }
}
