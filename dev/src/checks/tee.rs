//! Runs a test runner, passes on what it writes as it comes, and counts along.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use super::tally::TestCounts;
use crate::{command, interrupt};

/// Runs a test runner to its end. A failed test is not an error here: it is counted.
pub(super) fn run(runner: &mut Command) -> Result<TestCounts> {
    if io::stderr().is_terminal() {
        // Behind a pipe cargo writes without colours, though a person reads them here.
        runner.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = runner
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start the test runner")?;
    let out = child.stdout.take().context("no pipe")?;
    let err = child.stderr.take().context("no pipe")?;
    let mut tally = TestCounts::default();
    let status = thread::scope(|scope| {
        // Both pipes at once: a runner that fills the one that is not read stands still.
        let out = scope.spawn(|| pass_on(out, &mut io::stdout()));
        let err = scope.spawn(|| pass_on(err, &mut io::stderr()));
        let status = command::wait(&mut child, None);
        [out, err]
            .into_iter()
            .filter_map(|reader| reader.join().ok())
            .for_each(|part| tally.add(part));
        status
    })?;
    // The count of a runner that was interrupted says nothing about the tests.
    interrupt::check()?;
    tally.ended(status.success());
    Ok(tally)
}

fn pass_on(from: impl Read, to: &mut impl Write) -> TestCounts {
    let mut tally = TestCounts::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A reader of ours that has gone away does not stop the tests.
        drop(to.write_all(&line));
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::StepValue;

    #[test]
    fn what_a_runner_says_is_counted_and_its_failure_noticed() {
        let script = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            run(&mut command).unwrap()
        };

        assert!(script("echo 'test result: ok. 3 passed; 0 failed'").is_good());
        assert!(!script("echo 'test result: ok. 3 passed; 0 failed'; exit 1").is_good());
        assert_eq!(
            script("echo 'Summary [1s] 2 tests run: 2 passed' >&2").to_string(),
            "2 passed, 0 failed, 0 skipped"
        );
    }
}
