//! `cell-init write`: under a stage's uid, it writes the submission's files, which come on standard
//! input.

use std::fs::File;
use std::io::{Read, Write, stdin};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use sandbox::protocol::CellFile;

use crate::fault::{CellFault, During};

/// Returns what [`write_files`] reads.
pub(crate) fn input(files: &[CellFile]) -> Result<Vec<u8>, CellFault> {
    postcard::to_stdvec(files).during("cannot pass the files on")
}

/// Writes every file below a directory. It follows no link, and overwrites nothing that is there.
pub(crate) fn write_files(directory: &str) -> Result<(), CellFault> {
    let mut input = Vec::new();
    stdin().lock().read_to_end(&mut input).during("cannot read the files")?;
    let files: Vec<CellFile> = postcard::from_bytes(&input).during("malformed files")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let root = openat(CWD, directory, DIRECTORY, Mode::empty()).during(directory)?;
    files
        .iter()
        .try_for_each(|file| write_file(&root, file).during(&format!("file {:?}", file.path)))
}

/// Opens a folder itself, and no link to one.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn write_file(root: &OwnedFd, file: &CellFile) -> Result<(), CellFault> {
    let (directories, name) = components(&file.path)?;
    let mut directory = root.try_clone().during("cannot open the folder")?;
    for component in directories {
        match mkdirat(&directory, component, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).during("cannot make a folder"),
        }
        directory = openat(&directory, component, DIRECTORY, Mode::empty())
            .during("cannot open a folder")?;
    }
    let created = openat(&directory, name, NEW_FILE, Mode::from_raw_mode(0o666));
    let mut created = File::from(created.during("cannot make the file")?);
    created.write_all(&file.content).during("cannot write")
}

/// Splits a plain relative path into its folders and its name.
fn components(path: &str) -> Result<(Vec<&str>, &str), CellFault> {
    let mut components: Vec<&str> = path.split('/').collect();
    let plain =
        |component: &&str| !matches!(*component, "" | "." | "..") && !component.contains('\0');
    match components.pop() {
        Some(name) if plain(&name) && components.iter().all(plain) => Ok((components, name)),
        _ => Err(CellFault::new("not a plain relative path")),
    }
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn a_plain_path_has_folders_and_a_name() {
        assert_eq!(components("main.py").expect("plain"), (vec![], "main.py"));
        assert_eq!(components("a/b c/d").expect("plain"), (vec!["a", "b c"], "d"));
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        for path in ["", "/", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\0b", "../a"] {
            assert!(components(path).is_err(), "{path:?} was taken");
        }
    }
}
