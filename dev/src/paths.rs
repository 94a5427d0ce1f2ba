//! Where things lie: the clone's `.runledger/`, the cache outside of it, and the short or public
//! directories that some servers insist on. Creates nothing that is not asked for.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::environment;
use crate::failure::failure;

/// The longest suffix that a server appends to its socket directory.
const SOCKET_SUFFIX: &str = "/docker/containerd/containerd-debug.sock";

/// `sun_path` holds 108 bytes with its NUL; containerd wants a little room.
const SOCKET_PATH_MAX: usize = 104;

/// Everything about one topology's place on disk.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The clone's root, with the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// The topology's own directory.
    pub(crate) dir: PathBuf,
}

impl Layout {
    /// The layout with its state under `dir`.
    pub(crate) fn new(root: &Path, dir: &Path) -> Self {
        Self { root: root.to_owned(), dir: dir.to_owned() }
    }

    /// Pids, locks and, where the path is short enough, sockets.
    pub(crate) fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// One log per part.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// Written configuration files.
    pub(crate) fn conf(&self, name: &str) -> PathBuf {
        self.dir.join("conf").join(name)
    }

    /// A server's data.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.dir.join("data").join(name)
    }

    /// Data of a server that runs as another user, who may be unable to enter the clone.
    pub(crate) fn public_data(&self, name: &str) -> PathBuf {
        if reachable_by_all(&self.dir) { self.data(name) } else { self.outside().join(name) }
    }

    /// A directory whose sockets have short paths and which other users can enter.
    pub(crate) fn sockets(&self) -> PathBuf {
        let near = self.run();
        let short = near.as_os_str().as_bytes().len() + SOCKET_SUFFIX.len() <= SOCKET_PATH_MAX;
        if short && reachable_by_all(&self.dir) { near } else { self.outside().join("run") }
    }

    /// The file that tells shells and tests where everything answers.
    pub(crate) fn dev_env(&self) -> PathBuf {
        self.dir.join("dev.env")
    }

    /// A directory outside of the clone, named after it.
    pub(crate) fn outside(&self) -> PathBuf {
        let base = if rustix::process::getuid().is_root() { "/var/lib" } else { "/tmp" };
        Path::new(base).join(format!("runledger-{}", self.key()))
    }

    /// A short name for this topology, stable over time.
    pub(crate) fn key(&self) -> String {
        let digest = Sha256::digest(self.dir.as_os_str().as_bytes());
        hex::encode(digest).chars().take(10).collect()
    }
}

/// The clone that the current directory is in.
pub(crate) fn find_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("current directory")?;
    here.ancestors().find(|dir| is_workspace(dir)).map(Path::to_owned).ok_or_else(|| {
        failure(
            format!("{} is not inside a clone of Runledger", here.display()),
            "change into the clone and try again",
        )
    })
}

fn is_workspace(dir: &Path) -> bool {
    fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
}

/// What outlives a clone: downloaded programs and built images.
pub(crate) fn cache(kind: &str) -> PathBuf {
    environment::home().join(".cache/runledger").join(kind)
}

/// Creates a directory that its user alone can enter.
pub(crate) fn make_private(dir: &Path) -> Result<()> {
    make(dir, 0o700)
}

/// Creates a directory that every user can enter.
pub(crate) fn make_public(dir: &Path) -> Result<()> {
    make(dir, 0o755)
}

fn make(dir: &Path, mode: u32) -> Result<()> {
    let shown = || format!("create directory {}", dir.display());
    fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).with_context(shown)?;
    let owner = fs::metadata(dir).with_context(shown)?.uid();
    if owner == rustix::process::getuid().as_raw() {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).with_context(shown)?;
    }
    Ok(())
}

/// Writes a file so that a reader sees the old or the new content, never a part.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let shown = || format!("write {}", path.display());
    let dir = path.parent().with_context(shown)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(shown)?;
    std::io::Write::write_all(&mut file, content).with_context(shown)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).with_context(shown)?;
    file.persist(path).with_context(shown)?;
    Ok(())
}

/// Removes a directory and all in it; one that is not there is fine.
pub(crate) fn remove_tree(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Whether a user without any right of ours can enter the directory.
pub(crate) fn reachable_by_all(dir: &Path) -> bool {
    dir.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .all(|part| fs::metadata(part).map_or(true, |meta| meta.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_moves_the_sockets_outside() {
        let deep = Path::new("/srv").join("d".repeat(90));
        let layout = Layout::new(&deep, &deep.join(".runledger"));

        let sockets = layout.sockets();

        assert!(sockets.as_os_str().len() + SOCKET_SUFFIX.len() <= SOCKET_PATH_MAX);
        assert_eq!(sockets, layout.outside().join("run"));
    }

    #[test]
    fn a_short_path_keeps_the_sockets_near() {
        let layout = Layout::new(Path::new("/srv/r"), Path::new("/srv/r/.runledger"));

        assert_eq!(layout.sockets(), Path::new("/srv/r/.runledger/run"));
    }

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
