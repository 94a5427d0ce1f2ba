//! One stage: starts a program, has it watched until it ends or exceeds a limit, ends every process
//! that it started, and reports.

use std::time::Instant;

use sandbox::protocol::{Stage, StageExit, StageOutput, StageReport, StageUsage};

use crate::exec;
use crate::fault::CellFault;
use crate::limit_watch::LimitWatch;
use crate::meter::Meter;
use crate::spawn::{Spawner, StartError, stdin_file};

/// Runs a stage to its end. No process is left when it returns.
pub(crate) fn run_stage(
    spawner: &Spawner,
    meter: &Meter,
    mut stage: Stage,
    uid: u32,
) -> Result<StageReport, CellFault> {
    if stage.argv.is_empty() {
        return Err(CellFault::new("a stage without a program"));
    }
    let stdin = stdin_file(&stage.stdin)?;
    // A child's peak memory starts at ours, so our copy goes before the child starts.
    stage.stdin = Vec::new();
    let before = meter.read();
    let started_at = Instant::now();
    let started = match spawner.start_program(&stage, stdin, uid) {
        Ok(started) => started,
        Err(StartError::Arguments(why)) => return Ok(not_executable(&stage.argv[0], &why)),
        Err(StartError::Fault(fault)) => return Err(fault),
    };
    let mut watch = LimitWatch::new(started, stage.limits, meter, before, started_at)?;
    let stopped = watch.until_end();
    let main_ended = started_at.elapsed();
    // Before any error is returned: no process may run on.
    watch.processes.kill_and_reap_all()?;
    // A program that had to be stopped has run until it was gone: the kernel's work on its end is
    // in its processor time, so it is in its wall time, too.
    let stopped = stopped?;
    let wall = if stopped.is_some() { started_at.elapsed() } else { main_ended };
    watch.report(stopped, wall)
}

/// Reports what a shell would say of a command line that cannot be executed.
fn not_executable(program: &str, why: &str) -> StageReport {
    let text = format!("cannot execute {program}: {why}\n").into_bytes();
    let stderr = StageOutput { total_bytes: text.len() as u64, bytes: text, truncated: false };
    StageReport {
        exit: StageExit::Code(exec::NOT_EXECUTABLE),
        stopped: None,
        usage: StageUsage::default(),
        stdout: StageOutput::default(),
        stderr,
    }
}
