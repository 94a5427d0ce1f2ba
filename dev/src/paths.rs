//! Where things lie: the clone's `.runledger/`, the cache outside of it, and the short or public
//! directories that some servers insist on. Creates nothing that is not asked for.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
pub(crate) use servers::files::{
    make_private, make_public, reachable_by_all, remove_tree, write_whole,
};
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
        // Only root has a place that outlives a boot and that every user can enter.
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
}
