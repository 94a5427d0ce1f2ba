//! The state of one cell: what is prepared, which uids are used, and the proof that nothing is left
//! of a stage.

use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{StatVfs, stat, statvfs};
use sandbox::protocol::{Prepare, Prepared, Stage, StageReport};

use crate::fault::{CellFault, During};
use crate::meter::Meter;
use crate::spawn::{BOX, Spawner, TMP};
use crate::stage;
use crate::write;

/// How many uids a cell uses, from its base on.
pub(crate) const UIDS: u32 = 256;

// The kernel may free what a killed process held a moment after the process has ended.
const SETTLE_TRIES: u32 = 20;
const SETTLE_WAIT: Duration = Duration::from_millis(5);

/// What one cell knows from request to request.
#[derive(Debug)]
pub(crate) struct CellState {
    spawner: Spawner,
    meter: Meter,
    uid_base: u32,
    /// Stages so far.
    stages: u32,
    /// The uid that owns the prepared files.
    owner: Option<u32>,
    /// The uid of a run whose files are still to be wiped.
    ran: Option<u32>,
    /// How full the writable folders were when they were empty.
    pristine: Fill,
    /// How full the writable folders were when the present files were prepared.
    prepared: Fill,
}

/// How full the writable folders are: free blocks and inodes of each. Whatever a program leaves
/// behind takes at least one inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fill([(u64, u64); 2]);

impl Fill {
    fn measure() -> Result<Self, CellFault> {
        let free = |stat: StatVfs| (stat.f_bfree, stat.f_ffree);
        Ok(Self([statvfs(BOX).during(BOX).map(free)?, statvfs(TMP).during(TMP).map(free)?]))
    }
}

impl CellState {
    pub(crate) fn new(uid_base: u32) -> Result<Self, CellFault> {
        expect_open_to_all(BOX)?;
        expect_open_to_all(TMP)?;
        let pristine = Fill::measure()?;
        Ok(Self {
            spawner: Spawner::new()?,
            meter: Meter::open(),
            uid_base,
            stages: 0,
            owner: None,
            ran: None,
            pristine,
            prepared: pristine,
        })
    }

    /// Starts over with new files. They belong to a uid that no run gets, so that no run can change
    /// them.
    pub(crate) fn prepare(&mut self, prepare: Prepare) -> Result<Prepared, CellFault> {
        self.wipe_prepared_files()?;
        let owner = self.next_uid();
        self.owner = Some(owner);
        if !prepare.files.is_empty() {
            self.spawner.run_step("write", &[BOX], &write::input(&prepare.files)?, owner)?;
        }
        // A child's peak memory starts at its parent's, so the files go before the compiler starts.
        drop(prepare.files);
        let compile = prepare.compile.map(|stage| self.compile(stage, owner)).transpose()?;
        self.prepared = Fill::measure()?;
        Ok(Prepared { compile })
    }

    /// Runs a program under a fresh uid. The caller calls [`Self::clean_up`] once the report is
    /// sent.
    pub(crate) fn run(&mut self, stage: Stage) -> Result<StageReport, CellFault> {
        let uid = self.next_uid();
        self.ran = Some(uid);
        stage::run_stage(&self.spawner, &self.meter, stage, uid)
    }

    /// Removes what the last run left, and proves that nothing is left.
    pub(crate) fn clean_up(&mut self) -> Result<(), CellFault> {
        let Some(uid) = self.ran.take() else { return Ok(()) };
        self.wipe(&[BOX, TMP], uid)?;
        expect_fill(self.prepared)
    }

    fn compile(&self, stage: Stage, owner: u32) -> Result<StageReport, CellFault> {
        let report = stage::run_stage(&self.spawner, &self.meter, stage, owner)?;
        // What the compiler made in the box stays for the runs; its temporary files would take
        // room from them.
        self.wipe(&[TMP], owner)?;
        Ok(report)
    }

    fn wipe_prepared_files(&mut self) -> Result<(), CellFault> {
        let Some(owner) = self.owner.take() else { return Ok(()) };
        self.wipe(&[BOX, TMP], owner)?;
        expect_fill(self.pristine)
    }

    fn wipe(&self, directories: &[&str], uid: u32) -> Result<(), CellFault> {
        self.spawner.run_step("wipe", directories, &[], uid)
    }

    /// Returns the uid of the next stage. A uid comes round again only when nothing is left of its
    /// last stage.
    fn next_uid(&mut self) -> u32 {
        loop {
            let uid = self.uid_base + self.stages % UIDS;
            self.stages = self.stages.wrapping_add(1);
            // A run under the owner's uid could change the prepared files.
            if self.owner != Some(uid) {
                return uid;
            }
        }
    }
}

/// Checks that programs of any uid can make files here, and that none can touch another's.
fn expect_open_to_all(directory: &str) -> Result<(), CellFault> {
    match stat(directory).during(directory)?.st_mode & 0o7777 {
        0o1777 => Ok(()),
        mode => Err(CellFault::new(format!("{directory} has mode {mode:o}, not 1777"))),
    }
}

fn expect_fill(expected: Fill) -> Result<(), CellFault> {
    for _ in 0..SETTLE_TRIES {
        if Fill::measure()? == expected {
            return Ok(());
        }
        sleep(SETTLE_WAIT);
    }
    Err(CellFault::new("something is left of an earlier stage"))
}
