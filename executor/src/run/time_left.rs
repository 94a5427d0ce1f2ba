//! What is left of the time that compiling and all runs of a submission may take together. Time
//! that others had the processors does not count here either. Pure.

use std::time::Duration;

use events::StopCause;
use sandbox::protocol::{ExceededLimit, Stage, StageReport};

use super::verdict::stop_cause;

/// The time that is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLeft {
    left: Duration,
    /// Whether the stage that runs has less than its own wall limit.
    is_short: bool,
}

impl TimeLeft {
    /// Begins with all of it.
    pub(super) fn of(total_time_ms: u32) -> Self {
        Self { left: Duration::from_millis(total_time_ms.into()), is_short: false }
    }

    /// Gives a stage no more than is left.
    pub(super) fn shorten(&mut self, stage: &mut Stage) {
        // A stage needs some time to be stopped in, and none is short of it for a millisecond.
        let left = u32::try_from(self.left.as_millis()).unwrap_or(u32::MAX).max(1);
        self.is_short = left < stage.limits.wall_time_ms;
        stage.limits.wall_time_ms = stage.limits.wall_time_ms.min(left);
    }

    /// Takes what a stage has used, and tells which limit has stopped it.
    pub(super) fn take(&mut self, report: &StageReport) -> Option<StopCause> {
        let used = report.usage.wall_us.saturating_sub(report.usage.discounted_us);
        self.left = self.left.saturating_sub(Duration::from_micros(used));
        match report.stopped {
            Some(ExceededLimit::WallTime) if self.is_short => Some(StopCause::TotalTime),
            stopped => stopped.map(stop_cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::Plan;
    use crate::testing::{accepted, prints, stopped};
    use sandbox::languages::Catalog;
    use sandbox::protocol::StageUsage;

    fn report(wall_us: u64, discounted_us: u64) -> StageReport {
        let usage = StageUsage { wall_us, discounted_us, ..StageUsage::default() };
        StageReport { usage, ..prints(b"") }
    }

    #[test]
    fn a_stage_gets_what_is_left_and_never_more_than_its_own_limit() {
        let plan =
            Plan::for_submission(&accepted("python"), &Catalog::builtin(), || false).unwrap();
        let mut time = TimeLeft::of(15_000);
        let mut wall_times = Vec::new();
        for (wall_us, discounted_us) in [(9_000_000, 3_000_000), (8_000_000, 0), (5_000_000, 0)] {
            let mut stage = plan.stage(Vec::new());
            time.shorten(&mut stage);
            wall_times.push(stage.limits.wall_time_ms);
            assert_eq!(time.take(&report(wall_us, discounted_us)), None);
        }
        assert_eq!(wall_times, [10_000, 9_000, 1_000]);
        let mut last = plan.stage(Vec::new());
        time.shorten(&mut last);
        assert_eq!(last.limits.wall_time_ms, 1);
        let stop = time.take(&stopped(ExceededLimit::WallTime));
        assert_eq!(stop, Some(StopCause::TotalTime));
        assert_eq!(time.take(&stopped(ExceededLimit::CpuTime)), Some(StopCause::CpuTime));
    }
}
