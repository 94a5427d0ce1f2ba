//! Starts and ends the long-lived parts, and remembers them: a part survives the command that
//! started it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use servers::kill::{self, StopOutcome};
use servers::program::Lifetime;
use servers::{ProcessIdentity, Program};
use sha2::{Digest, Sha256};

use crate::environment;
use crate::paths::Layout;
use crate::state::Record;

/// How long the parent of a killed part may take to notice. PostgreSQL refuses to start while the
/// pid of its last life is not free.
const REAP_PATIENCE: Duration = Duration::from_secs(5);

/// Changes when a part has to be started anew to be what its program says.
pub(crate) fn fingerprint(program: &Program) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        // Without lengths, the end of one argument could be the start of the next.
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    add(version_of(&program.path).as_bytes());
    program.args.iter().for_each(|arg| add(arg.as_encoded_bytes()));
    for (name, value) in &program.env {
        add(name.as_bytes());
        add(value.as_encoded_bytes());
    }
    for file in &program.files {
        add(&fs::read(file).unwrap_or_default());
    }
    hex::encode(hash.finalize())
}

/// A program's file, told apart from an earlier build in the same place.
fn version_of(program: &Path) -> String {
    // Not by content: a debug build has hundreds of megabytes, and each start would read them.
    let meta = fs::metadata(program).map(|meta| (meta.ino(), meta.mtime_nsec(), meta.len()));
    format!("{} {meta:?}", program.display())
}

/// Starts a part and remembers it.
pub(crate) fn start(layout: &Layout, name: &str, program: &Program) -> Result<Record> {
    // The child is not kept: it is looked after by its recorded identity.
    let log = layout.log(name);
    let child = program.spawn(Lifetime::Detached, &log, environment::passed_on())?;
    let identity = ProcessIdentity::of_child(&child).context("it ended at once")?;
    let record = Record::new(identity, fingerprint(program), program.stop);
    record.save(layout, name)?;
    Ok(record)
}

/// Ends a part: asks, waits, then kills. Says whether the part had to be killed; none when it did
/// not run.
pub(crate) fn stop(layout: &Layout, name: &str) -> Result<Option<StopOutcome>> {
    let Some(record) = Record::alive(layout, name)? else {
        Record::remove(layout, name)?;
        return Ok(None);
    };
    let end =
        kill::stop(&record.identity, record.stop()).with_context(|| format!("stop {name}"))?;
    // A part that ended in order has left nothing behind that its next start would trip over.
    if end == StopOutcome::Killed {
        record.identity.wait_until_reaped(REAP_PATIENCE);
    }
    Record::remove(layout, name)?;
    Ok(Some(end))
}

/// Kills a part at once with all that it has started, as a crash of the machine would.
pub(crate) fn kill_part(identity: &ProcessIdentity) -> Result<()> {
    kill::kill_with_descendants(identity)?;
    identity.wait_until_reaped(REAP_PATIENCE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::Signal;

    use super::*;
    use crate::paths;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        paths::make_public(&layout.run()).unwrap();
        (dir, layout)
    }

    fn shell(script: &str, patience: Duration) -> Program {
        Program::new("/bin/sh").args(["-c", script]).stop_by(Signal::TERM, patience)
    }

    fn wait_for_log(layout: &Layout, name: &str, text: &str) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(layout.log(name)).unwrap().contains(text) {
            assert!(std::time::Instant::now() < until, "the log never said {text}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_part_runs_in_a_session_of_its_own_until_it_is_stopped() {
        let (_dir, layout) = layout();
        let program = shell("echo up; exec sleep 600", Duration::from_secs(10));

        let record = start(&layout, "part", &program).unwrap();
        wait_for_log(&layout, "part", "up");
        let stat = fs::read_to_string(format!("/proc/{}/stat", record.identity.pid)).unwrap();
        let end = stop(&layout, "part").unwrap();

        let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
        assert_eq!(session, record.identity.pid.to_string());
        assert_eq!(end, Some(StopOutcome::Orderly));
        assert!(!record.identity.is_alive());
        assert_eq!(stop(&layout, "part").unwrap(), None);
    }

    #[test]
    fn a_part_that_ignores_the_request_is_killed() {
        let (_dir, layout) = layout();
        let script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
        start(&layout, "part", &shell(script, Duration::from_millis(100))).unwrap();
        wait_for_log(&layout, "part", "deaf");

        let end = stop(&layout, "part").unwrap();

        assert_eq!(end, Some(StopOutcome::Killed));
    }

    #[test]
    fn a_killed_part_leaves_no_zombie_of_ours_and_no_child() {
        let (_dir, layout) = layout();
        let script = "setsid sleep 600 & echo up; wait";
        let record = start(&layout, "part", &shell(script, Duration::ZERO)).unwrap();
        wait_for_log(&layout, "part", "up");

        kill_part(&record.identity).unwrap();

        assert!(!fs::exists(format!("/proc/{}", record.identity.pid)).unwrap());
    }

    #[test]
    fn a_part_does_not_see_the_callers_variables() {
        let (_dir, layout) = layout();
        let program = Program::new("/usr/bin/env").env("RUNLEDGER__X", "1");

        drop(start(&layout, "part", &program));
        wait_for_log(&layout, "part", "RUNLEDGER__X=1");

        let log = fs::read_to_string(layout.log("part")).unwrap();
        assert!(!log.contains("CARGO"), "{log}");
    }

    #[test]
    fn a_fingerprint_follows_arguments_environment_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("conf");
        fs::write(&conf, "a").unwrap();
        let program = Program::new("/bin/sh").args(["x"]).env("K", "v").file(&conf);
        let first = fingerprint(&program);

        assert_eq!(first, fingerprint(&program));
        assert_ne!(first, fingerprint(&program.clone().args(["y"])));
        assert_ne!(first, fingerprint(&program.clone().env("K2", "v")));
        fs::write(&conf, "b").unwrap();
        assert_ne!(first, fingerprint(&program));
    }
}
