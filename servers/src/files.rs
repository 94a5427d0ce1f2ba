//! Directories and files of servers, some of which run as another user than ours.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};

/// A user and group that a server runs as.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct RunAs {
    pub uid: u32,
    pub gid: u32,
}

/// Creates a directory that its user alone can enter.
pub fn make_private(dir: &Path) -> Result<()> {
    make(dir, 0o700)
}

/// Creates a directory that every user can enter.
pub fn make_public(dir: &Path) -> Result<()> {
    make(dir, 0o755)
}

fn make(dir: &Path, mode: u32) -> Result<()> {
    let shown = || format!("create directory {}", dir.display());
    // Parents can be entered by all: a server that runs as another user has to pass through them.
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).with_context(shown)?;
    let owner = fs::metadata(dir).with_context(shown)?.uid();
    // Only where it is ours: a directory that was given to a server's user keeps the mode that the
    // server wants. Set again because the umask has cut the mode above.
    if owner == rustix::process::getuid().as_raw() {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).with_context(shown)?;
    }
    Ok(())
}

/// Gives a file or directory to another user.
pub fn give(path: &Path, to: Option<RunAs>) -> Result<()> {
    let Some(user) = to else { return Ok(()) };
    chown(path, Some(user.uid), Some(user.gid)).with_context(|| format!("chown {}", path.display()))
}

/// Writes a file so that a reader sees the old or the new content, never a part.
pub fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let shown = || format!("write {}", path.display());
    let dir = path.parent().with_context(shown)?;
    // In the same directory, since a rename works within one file system only.
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(shown)?;
    file.write_all(content).with_context(shown)?;
    // Before the rename, so that the name never stands for a file with another mode.
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).with_context(shown)?;
    file.persist(path).with_context(shown)?;
    Ok(())
}

/// Copies a directory and all in it to a place that does not exist yet.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let shown = || format!("copy {} to {}", from.display(), to.display());
    make_private(to)?;
    for entry in fs::read_dir(from).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        let to = to.join(entry.file_name());
        if entry.file_type().with_context(shown)?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).with_context(shown)?;
        }
    }
    Ok(())
}

/// Removes a directory and all in it; one that is not there is fine.
pub fn remove_tree(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Tells whether a user without any right of ours can enter the directory.
pub fn reachable_by_all(dir: &Path) -> bool {
    dir.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        // A part that does not exist yet is made by `make_public`, so it will not be in the way.
        .all(|part| fs::metadata(part).map_or(true, |meta| meta.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_ancestor_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("clone");
        make_public(&inner).unwrap();

        make_private(home.path()).unwrap();
        let closed = reachable_by_all(&inner);
        make_public(home.path()).unwrap();
        let open = reachable_by_all(&inner);

        assert!(!closed);
        assert!(open);
    }

    #[test]
    fn a_written_file_has_its_content_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");

        write_whole(&path, b"one", 0o600).unwrap();
        write_whole(&path, b"two", 0o600).unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
