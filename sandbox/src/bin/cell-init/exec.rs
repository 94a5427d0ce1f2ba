//! `cell-init exec`: under the stage's uid already, it limits itself and becomes the program.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Resource, Rlimit, setrlimit, setsid, umask};
use sandbox::protocol::{Stage, StageLimits};

use crate::fault::{CellFault, During};
use crate::sys;

/// Descriptors that a program may have open: what `ulimit` gives on an ordinary system.
const DESCRIPTORS: u64 = 1024;

/// The program offers itself to be killed first when memory runs out. If the kernel chose, it could
/// kill init and leave a small program running.
const OOM_SCORE_ADJ: &[u8] = b"1000";

// A shell's exit codes for a program that is not there and for one that cannot be executed.
const NOT_FOUND: i32 = 127;
pub(crate) const NOT_EXECUTABLE: i32 = 126;

/// How many numbers stand before the program's own command line.
const SETUP_ARGUMENTS: usize = 5;

/// Returns the command line of this step.
pub(crate) fn arguments(setup: RawFd, stage: &Stage) -> Vec<OsString> {
    let StageLimits { cpu_time_ms, stack_kib, file_size_kib, processes, .. } = stage.limits;
    let numbers: [String; SETUP_ARGUMENTS] = [
        setup.to_string(),
        // The kernel's limit has whole seconds.
        cpu_time_ms.div_ceil(1000).to_string(),
        stack_kib.to_string(),
        file_size_kib.to_string(),
        processes.to_string(),
    ];
    numbers.into_iter().chain(stage.argv.iter().cloned()).map(OsString::from).collect()
}

/// Becomes the program. A limit that cannot be set is the cell's failure. A program that is not
/// there is the user's: it may be what the compiler should have made.
pub(crate) fn exec(arguments: &[&str]) -> Result<(), CellFault> {
    let Some(([setup, numbers @ ..], [program, rest @ ..])) =
        arguments.split_at_checked(SETUP_ARGUMENTS)
    else {
        return Err(CellFault::new("exec: too few arguments"));
    };
    let setup = setup.parse().during("exec: descriptor")?;
    let mut setup = File::from(sys::inherited(setup));
    if let Err(fault) = confine(&setup, numbers) {
        return write!(setup, "{fault}").during("exec: cannot report");
    }
    let error = Command::new(program).args(rest).exec();
    drop(writeln!(std::io::stderr(), "cannot execute {program}: {error}"));
    let found = error.kind() != std::io::ErrorKind::NotFound;
    exit(if found { NOT_EXECUTABLE } else { NOT_FOUND })
}

#[expect(clippy::exit, reason = "the step stands in for the program, whose exit code this is")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

fn confine(setup: &File, numbers: &[&str]) -> Result<(), CellFault> {
    fcntl_setfd(setup, FdFlags::CLOEXEC).during("cannot keep a pipe from the program")?;
    let number =
        |index: usize| -> Result<u64, CellFault> { numbers[index].parse().during("exec: limit") };
    let (cpu_s, stack_kib, file_size_kib, processes) =
        (number(0)?, number(1)?, number(2)?, number(3)?);
    setsid().during("cannot start a session")?;
    umask(Mode::from_raw_mode(0o022));
    std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ)
        .during("cannot offer to be killed")?;
    // Init counts the time of all processes together, and exactly. The kernel's limit stops the
    // program when init gets no processor time itself.
    limit(Resource::Cpu, cpu_s + 1)?;
    limit(Resource::Stack, stack_kib * 1024)?;
    limit(Resource::Fsize, file_size_kib * 1024)?;
    limit(Resource::Nproc, processes)?;
    // A core dump would fill the box with what the program had in memory.
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, DESCRIPTORS)
}

fn limit(resource: Resource, value: u64) -> Result<(), CellFault> {
    let both = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, both).during("cannot set a limit")
}
