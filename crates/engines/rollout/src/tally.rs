//! Counting one phase and judging it.

use crate::model::{Progress, Threshold};

/// How many devices of a phase stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All but those left out.
    pub size: u32,
    /// Not yet ended.
    pub open: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended badly.
    pub failed: u32,
}

/// What a tally means for the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Too many failed.
    Failed,
    /// Good enough; an empty phase is.
    Succeeded,
    /// All have ended, too few of them well.
    Exhausted,
    /// Neither yet.
    Open,
}

impl Tally {
    /// Counts one more device.
    pub fn add(&mut self, progress: Progress) {
        match progress {
            Progress::Skipped => return,
            Progress::Waiting | Progress::Assigned { .. } | Progress::Started { .. } => {
                self.open += 1;
            }
            Progress::Succeeded => self.succeeded += 1,
            Progress::Failed => self.failed += 1,
            Progress::Cancelled => {}
        }
        self.size += 1;
    }

    /// Judges the phase. Failure is looked at first: a phase can be both.
    pub fn verdict(&self, success: Threshold, failure: Threshold) -> Verdict {
        if failure.is_reached(self.failed, self.size) {
            Verdict::Failed
        } else if self.size == 0 || success.is_reached(self.succeeded, self.size) {
            Verdict::Succeeded
        } else if self.open == 0 {
            Verdict::Exhausted
        } else {
            Verdict::Open
        }
    }
}
