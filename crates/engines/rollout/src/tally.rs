//! Counting one phase and judging it.

use crate::model::{Health, Member, Phase, Progress};

/// How many devices of a phase stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All but those left out.
    pub size: u32,
    /// Not yet ended, or not yet known to be well.
    pub open: u32,
    /// Ended well, and are well.
    pub succeeded: u32,
    /// Ended badly, or are not well.
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
    pub fn add(&mut self, member: &Member) {
        let field = match (member.progress, member.health) {
            (Progress::Skipped, _) => return,
            (
                Progress::Waiting | Progress::Assigned | Progress::Started | Progress::RollingBack,
                _,
            )
            | (Progress::Succeeded, Health::Pending) => &mut self.open,
            (Progress::Succeeded, Health::Failing)
            | (Progress::Failed | Progress::RolledBack | Progress::RollbackFailed, _) => {
                &mut self.failed
            }
            (Progress::Succeeded, Health::Unknown | Health::Good) => &mut self.succeeded,
            (Progress::Cancelled, _) => {
                self.size = self.size.saturating_add(1);
                return;
            }
        };
        *field = field.saturating_add(1);
        self.size = self.size.saturating_add(1);
    }

    /// Judges the phase. Failure is looked at first: a phase can be both.
    pub fn verdict(&self, phase: &Phase) -> Verdict {
        let accepted = self.failed <= phase.accepted_failures;
        if phase.failure.is_reached(self.failed, self.size) && !accepted {
            Verdict::Failed
        } else if self.size == 0 || phase.success.is_reached(self.succeeded, self.size) {
            Verdict::Succeeded
        } else if self.open > 0 {
            Verdict::Open
        } else if self.failed > 0 && accepted {
            // A person has seen how it ended, and let it go on.
            Verdict::Succeeded
        } else {
            Verdict::Exhausted
        }
    }
}
