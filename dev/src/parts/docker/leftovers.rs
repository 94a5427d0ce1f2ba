//! What an engine leaves behind when it is killed: containerd, shims, programs in containers, and
//! mounts. Everything is known by the engine's own directories, so that no stranger is touched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use servers::ProcessIdentity;
use servers::kill::{all_pids, kill};

use crate::command::{clean, output};

/// Ends containerd and its shims, which outlive an engine that was killed. They are known by our
/// run directory on their command line.
pub(super) fn end_helpers(exec_root: &Path) -> Result<()> {
    for identity in processes_with(exec_root) {
        kill(&identity).context("end a helper of the engine")?;
    }
    Ok(())
}

fn processes_with(exec_root: &Path) -> Vec<ProcessIdentity> {
    let wanted = exec_root.as_os_str().as_encoded_bytes();
    all_pids()
        .into_iter()
        .filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let ours = line.split(|byte| *byte == 0).any(|arg| is_below(arg, wanted));
            let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            // An editor or a shell may have the directory on its command line, too.
            (ours && program.starts_with("containerd")).then(|| ProcessIdentity::of(pid)).flatten()
        })
        .collect()
}

/// Ends what still runs inside of containers whose shims are gone. The engine's own directory
/// names its containers, and a process's control group names its container.
pub(super) fn end_contained(containers: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(containers) else { return Ok(()) };
    let ids: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for pid in all_pids() {
        // A process may end while it is looked at; then it has no groups.
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if let (true, Some(identity)) = (names_container(&groups, &ids), ProcessIdentity::of(pid)) {
            kill(&identity).context("end a process in a container")?;
        }
    }
    Ok(())
}

/// Whether a line of `/proc/<pid>/cgroup` ends in one of the containers, plainly or as systemd
/// writes it.
fn names_container(groups: &str, ids: &[String]) -> bool {
    groups.lines().filter_map(|line| line.rsplit('/').next()).any(|last| {
        let name = last.strip_prefix("docker-").unwrap_or(last);
        let name = name.strip_suffix(".scope").unwrap_or(name);
        ids.iter().any(|id| id == name)
    })
}

/// Whether an argument is a path in the directory.
fn is_below(arg: &[u8], dir: &[u8]) -> bool {
    arg.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Unmounts what is mounted below some directories.
pub(super) fn unmount_below(dirs: &[&Path]) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read the mounts")?;
    for point in mount_points(&mounts, dirs) {
        // Lazily, because a process that is ending may still be inside.
        output(clean("umount").arg("--lazy").arg(point))?;
    }
    Ok(())
}

/// The mount points below some directories, innermost first.
fn mount_points(mountinfo: &str, dirs: &[&Path]) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescaped)
        .filter(|point| dirs.iter().any(|dir| point.starts_with(dir)))
        .collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// The kernel writes a blank in a path as `\040`.
fn unescaped(field: &str) -> PathBuf {
    PathBuf::from(field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_ours_are_found_and_the_innermost_comes_first() {
        let text = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                    2 1 0:5 / /c/.runledger/data/docker rw - ext4 a rw\n\
                    3 2 0:6 / /c/.runledger/data/docker/overlay2/x/merged rw - overlay o rw\n\
                    4 1 0:7 / /c/.runledger/data/docker2 rw - ext4 a rw\n\
                    5 1 0:8 / /c/with\\040blank/x rw - ext4 a rw";

        let points = mount_points(
            text,
            &[Path::new("/c/.runledger/data/docker"), Path::new("/c/with blank")],
        );

        assert_eq!(
            points,
            [
                "/c/.runledger/data/docker/overlay2/x/merged",
                "/c/.runledger/data/docker",
                "/c/with blank/x",
            ]
            .map(PathBuf::from)
        );
    }

    #[test]
    fn a_process_in_one_of_our_containers_is_told_from_others() {
        let ids = ["abc".to_owned()];

        assert!(names_container("4:memory:/docker/abc\n3:cpu:/docker/abc", &ids));
        assert!(names_container("0::/system.slice/docker-abc.scope", &ids));
        assert!(!names_container("0::/docker/abcd\n1:cpu:/abc/d", &ids));
    }

    #[test]
    fn a_directory_with_a_longer_name_is_a_strangers() {
        assert!(is_below(b"/run/a/docker", b"/run/a/docker"));
        assert!(is_below(b"/run/a/docker/containerd", b"/run/a/docker"));
        assert!(!is_below(b"/run/a/docker2", b"/run/a/docker"));
    }
}
