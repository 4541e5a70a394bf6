//! Which of the deployments that are there stay, and where a new one stands among them.

use crate::{Deployment, DeploymentId};

/// Which deployments of the same stateroot are kept beside those that always are: the one that
/// runs, the one that was merged with, and pinned ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retain {
    /// Those offered before the one that runs.
    pub pending: bool,
    /// Those offered after the one that runs.
    pub rollback: bool,
}

impl Retain {
    /// All.
    pub const ALL: Self = Self { pending: true, rollback: true };
}

/// Where a new deployment stands among the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    #[default]
    Default,
    /// After the one that runs, or that was merged with; after all others when there is neither.
    AfterRunning,
    /// After all others.
    Last,
}

/// What decides about the deployments that are there.
pub(crate) struct Rules<'a> {
    pub(crate) retain: Retain,
    pub(crate) place: Place,
    pub(crate) booted: Option<&'a DeploymentId>,
    pub(crate) merge: Option<&'a DeploymentId>,
}

impl Rules<'_> {
    /// The new list.
    pub(crate) fn arrange(&self, current: Vec<Deployment>, new: Deployment) -> Vec<Deployment> {
        let stateroot = new.id.stateroot.clone();
        let running = self.booted.or(self.merge);
        // Without one that runs, nothing is before or after it: rather keep too much.
        let all = self.retain == Retain::ALL
            || (running.is_none() && (self.retain.pending || self.retain.rollback));
        let mut list = Vec::new();
        let mut new = Some(new);
        if self.place == Place::Default {
            list.extend(new.take());
        }
        let mut passed = false;
        for old in current {
            let id = Some(&old.id);
            let is_running = id == running;
            let keep = all
                || old.id.stateroot != stateroot
                || old.is_pinned()
                || id == self.booted
                || id == self.merge
                || (self.retain.pending && !passed)
                || (self.retain.rollback && passed);
            passed = passed || is_running;
            if keep {
                list.push(old);
            }
            if is_running && self.place == Place::AfterRunning {
                list.extend(new.take());
            }
        }
        list.extend(new);
        list
    }
}
