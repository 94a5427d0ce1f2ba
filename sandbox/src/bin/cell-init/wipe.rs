//! `cell-init wipe`: under the uid of a stage that has ended, it removes everything that this uid
//! owns in the given folders. No other process runs meanwhile, but what the stage left may be
//! hostile: links, locked folders, endlessly nested folders.

use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, RenameFlags, chmodat, openat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

use crate::fault::{CellFault, During};
use crate::write::DIRECTORY;

/// How deep another uid's folders are searched: deeper than any submission's path. A compiler that
/// nests deeper loses its cell.
const FOREIGN_DEPTH_MAX: usize = 256;

/// Removes what this uid owns.
pub(crate) fn wipe(directories: &[&str]) -> Result<(), CellFault> {
    let uid = rustix::process::getuid().as_raw();
    for path in directories {
        let top = openat(CWD, *path, DIRECTORY, Mode::empty()).during(path)?;
        let root = top.try_clone().during("cannot open").during(path)?;
        Wiper { root, uid, moved: 0 }.search(&top, 0).during(path)?;
    }
    Ok(())
}

/// An entry of a folder.
struct FolderEntry {
    name: Vec<u8>,
    is_directory: bool,
    is_own: bool,
}

struct Wiper {
    root: OwnedFd,
    uid: u32,
    /// Folders moved so far, for their new names.
    moved: u64,
}

impl Wiper {
    /// Removes the entries of our uid from a folder of another uid, and searches the folders in it.
    fn search(&mut self, directory: &OwnedFd, depth: usize) -> Result<(), CellFault> {
        if depth > FOREIGN_DEPTH_MAX {
            return Err(CellFault::new("folders are nested too deep"));
        }
        for entry in self.entries(directory)? {
            match (entry.is_own, entry.is_directory) {
                (true, true) => self.remove_directory(directory, &entry.name)?,
                (true, false) => remove(directory, &entry.name, AtFlags::empty())?,
                (false, true) => match openat(directory, &entry.name, DIRECTORY, Mode::empty()) {
                    Ok(inner) => self.search(&inner, depth + 1)?,
                    // This uid cannot open it now, so the stage could not put anything into it.
                    Err(Errno::ACCESS) => {}
                    Err(error) => return Err(error).during("cannot open a folder"),
                },
                (false, false) => {}
            }
        }
        Ok(())
    }

    /// Removes a folder of our uid with all that is in it. Inner folders are moved to the root
    /// first, so that no depth of nesting can exhaust descriptors or the stack.
    fn remove_directory(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<(), CellFault> {
        let mut waiting = vec![self.move_to_root(parent, name)?];
        while let Some(name) = waiting.pop() {
            let directory =
                openat(&self.root, &name, DIRECTORY, Mode::empty()).during("cannot open")?;
            for entry in self.entries(&directory)? {
                if entry.is_directory {
                    waiting.push(self.move_to_root(&directory, &entry.name)?);
                } else {
                    remove(&directory, &entry.name, AtFlags::empty())?;
                }
            }
            remove(&self.root, &name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }

    fn move_to_root(&mut self, parent: &OwnedFd, name: &[u8]) -> Result<Vec<u8>, CellFault> {
        // The program may have taken its own rights away, and moving a folder needs the right to
        // write in it.
        chmodat(parent, name, Mode::RWXU, AtFlags::empty()).during("cannot open up a folder")?;
        loop {
            self.moved += 1;
            let moved = format!(".wipe-{}", self.moved).into_bytes();
            match renameat_with(parent, name, &self.root, &moved, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(moved),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error).during("cannot move a folder"),
            }
        }
    }

    /// Returns all entries. They are read before any is changed, since a folder that changes while
    /// it is read may leave some out.
    fn entries(&self, directory: &OwnedFd) -> Result<Vec<FolderEntry>, CellFault> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(directory).during("cannot list")? {
            let name = entry.during("cannot list")?.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            let stat = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).during("cannot look")?;
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            entries.push(FolderEntry { name, is_directory, is_own: stat.st_uid == self.uid });
        }
        Ok(entries)
    }
}

fn remove(directory: &OwnedFd, name: &[u8], flags: AtFlags) -> Result<(), CellFault> {
    unlinkat(directory, name, flags).during("cannot remove")
}
