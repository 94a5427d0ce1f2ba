//! Helper programs that run and end: their failure carries what they wrote, and an interrupt ends
//! them. Servers are started by `process`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{environment, interrupt};

const POLL: Duration = Duration::from_millis(20);

/// How much of a failed program's output is shown.
const SHOWN_LINES: usize = 20;

/// A command that sees only the variables that are passed on.
pub(crate) fn clean(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().envs(environment::passed_on());
    command
}

/// Runs a program to its end and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    output_within(command, None)
}

/// Like [`output`], but gives up after a time.
pub(crate) fn output_within(
    command: &mut Command,
    patience: impl Into<Option<Duration>>,
) -> Result<String> {
    let name = shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {name}"))?;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let status = wait(&mut child, patience.into()).with_context(|| name.clone())?;
    let (out, err) = (collected(out), collected(err));
    if status.success() {
        return Ok(out);
    }
    interrupt::check()?;
    Err(anyhow!("{}", last_lines(&format!("{out}{err}"), SHOWN_LINES)))
        .with_context(|| format!("{name} ended with {status}"))
}

/// Runs a program that shows its output itself.
pub(crate) fn shown_run(command: &mut Command) -> Result<()> {
    let name = shown(command);
    let mut child =
        command.stdin(Stdio::null()).spawn().with_context(|| format!("start {name}"))?;
    let status = wait(&mut child, None)?;
    if !status.success() {
        interrupt::check()?;
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Waits for a child; an interrupt, or the end of patience, ends the child first.
pub(crate) fn wait(child: &mut Child, patience: Option<Duration>) -> Result<ExitStatus> {
    // Polled: one thread watches the child, the interrupt and the time.
    let until = patience.map(|patience| Instant::now() + patience);
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait().context("wait for a program")? {
            return Ok(status);
        }
        if interrupt::raised() && !asked {
            asked = true;
            // SIGTERM and not SIGKILL, so that cargo and docker end what they have started.
            let pid = Pid::from_raw(i32::try_from(child.id()).context("pid")?);
            kill(pid, Signal::SIGTERM).context("end a program")?;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            child.kill().context("end a program that takes too long")?;
            child.wait().context("wait for a program")?;
            bail!("no answer within {} s", patience.unwrap_or_default().as_secs());
        }
        thread::sleep(POLL);
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    pipe.map(|mut pipe| {
        thread::spawn(move || {
            // Read while the program runs: a pipe that is full would block it.
            let mut bytes = Vec::new();
            // A broken pipe ends the text early; the exit status tells whether that matters.
            drop(pipe.read_to_end(&mut bytes));
            bytes
        })
    })
}

fn collected(reader: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The end of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Where a program lies, looked up as a shell does, and in the directories for administrators.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    // A plain user's PATH lacks the folders `sbin`, where Debian puts nginx and dockerd.
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    environment::search_path()
        .into_iter()
        .chain(usual)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// The name by which a command stands in a message.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    // The first argument names the subcommand; all of them would not fit into a line.
    let first = command.get_args().next().map(|arg| arg.to_string_lossy().into_owned());
    format!("`{}`", [Some(name), first].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_shows_its_last_words() {
        let mut command = clean("sh");
        command.args(["-c", "echo before; echo the reason >&2; exit 3"]);

        let error = format!("{:#}", output(&mut command).unwrap_err());

        assert!(error.contains("exit status: 3") && error.contains("the reason"), "{error}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let mut command = clean("sleep");
        command.arg("600");

        let error = output_within(&mut command, Duration::from_millis(50)).unwrap_err();

        assert!(format!("{error:#}").contains("no answer"));
    }

    #[test]
    fn a_program_that_writes_much_does_not_block() {
        let mut command = clean("head");
        command.args(["-c", "1000000", "/dev/zero"]);

        assert_eq!(output(&mut command).unwrap().len(), 1_000_000);
    }

    #[test]
    fn last_lines_are_the_last() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 5), "a");
        assert_eq!(last_lines("", 5), "");
    }
}
