//! Starts children under a stage's uid: the program itself, through the `exec` step, and the steps
//! that touch files.

use std::io::{self, PipeReader, Read, Seek, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use sandbox::protocol::Stage;

use crate::exec;
use crate::fault::{CellFault, During};

/// The folder that programs start in. Programs can write to it.
pub(crate) const BOX: &str = "/box";
/// The other folder that programs can write to.
pub(crate) const TMP: &str = "/tmp";

/// The whole environment of a program.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", TMP),
    ("TMPDIR", TMP),
    ("LANG", "C.UTF-8"),
];

/// A started program.
#[derive(Debug)]
pub(crate) struct StartedProgram {
    pub(crate) child: Child,
    /// Says why the program could not be started; empty if it was started.
    pub(crate) setup: PipeReader,
}

/// Why a program was not started.
#[derive(Debug)]
pub(crate) enum StartError {
    /// No system takes its command line. That is the user's fault.
    Arguments(String),
    /// Anything else.
    Fault(CellFault),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ArgumentListTooLong | io::ErrorKind::InvalidInput => {
                Self::Arguments(error.to_string())
            }
            _ => Self::Fault(CellFault::new(format!("cannot start a process: {error}"))),
        }
    }
}

impl From<CellFault> for StartError {
    fn from(fault: CellFault) -> Self {
        Self::Fault(fault)
    }
}

/// Starts children from this program's own file.
#[derive(Debug)]
pub(crate) struct Spawner {
    program: PathBuf,
}

impl Spawner {
    pub(crate) fn new() -> Result<Self, CellFault> {
        let program = std::env::current_exe().during("cannot find the cell's own program")?;
        Ok(Self { program })
    }

    /// Starts a stage's program with pipes for its output.
    pub(crate) fn start_program(
        &self,
        stage: &Stage,
        stdin: OwnedFd,
        uid: u32,
    ) -> Result<StartedProgram, StartError> {
        let (setup, setup_writer) = pipe().during("cannot make a pipe")?;
        // The one descriptor besides the three standard ones that the child inherits. `exec` closes
        // it before it becomes the program.
        fcntl_setfd(&setup_writer, FdFlags::empty()).during("cannot pass a pipe on")?;
        let child = self
            .command("exec", uid)
            .args(exec::arguments(setup_writer.as_raw_fd(), stage))
            .envs(ENVIRONMENT.iter().copied())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(StartedProgram { child, setup })
    }

    /// Runs a step to its end. A step is our own program, so there is no time limit.
    pub(crate) fn run_step(
        &self,
        name: &str,
        arguments: &[&str],
        input: &[u8],
        uid: u32,
    ) -> Result<(), CellFault> {
        let mut child = self
            .command(name, uid)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .during("cannot start a step")?;
        // Not returned at once: if the step failed, its own message is the cause, and a broken pipe
        // only the consequence.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
        let output = child.wait_with_output().during("cannot wait for a step")?;
        if output.status.success() {
            return written.during("a step did not take its input");
        }
        let message = String::from_utf8_lossy(&output.stderr);
        Err(CellFault::new(format!("step {name} failed ({}): {}", output.status, message.trim())))
    }

    fn command(&self, step: &str, uid: u32) -> Command {
        let mut command = Command::new(&self.program);
        // With the uid, `Command` drops all groups and capabilities.
        command.arg(step).uid(uid).gid(uid).env_clear().current_dir(BOX);
        command
    }
}

/// Makes standard input a sealed file in memory. Init does not have to feed it while it watches,
/// and the program can seek in it and open it as `/dev/stdin`, but cannot change it.
pub(crate) fn stdin_file(content: &[u8]) -> Result<OwnedFd, CellFault> {
    const WHAT: &str = "cannot set up standard input";
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create("stdin", flags).during(WHAT)?);
    file.write_all(content).during(WHAT)?;
    file.rewind().during(WHAT)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(file.as_fd(), seals).during(WHAT)?;
    Ok(file.into())
}

/// Reads what the `exec` step had to say. The caller has ended every process, so the pipe has an
/// end.
pub(crate) fn setup_failure(mut setup: &PipeReader) -> Result<(), CellFault> {
    let mut message = String::new();
    setup.read_to_string(&mut message).during("cannot read of the program's start")?;
    if message.is_empty() { Ok(()) } else { Err(CellFault::new(message)) }
}
