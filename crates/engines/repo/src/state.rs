//! Markers of partial commits: `state/CHECKSUM.commitpartial`.
//!
//! A commit object may be present while objects it refers to are not: a pull was interrupted, only
//! a part was asked for, or fsck removed a corrupt object. The marker says so.

use updraft_ostree::Checksum;

use crate::repo::DIR_MODE;
use crate::staging::Durable;
use crate::{Repo, Result};

/// Whether everything that a commit refers to is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitState {
    /// Yes.
    Complete,
    /// No; a pull did not finish or was asked for a part.
    Partial,
    /// No; fsck removed something.
    PartialByFsck,
}

impl CommitState {
    /// Whether something is missing.
    #[must_use]
    pub fn is_partial(self) -> bool {
        self != Self::Complete
    }
}

fn marker(commit: &Checksum) -> String {
    format!("state/{commit}.commitpartial")
}

impl Repo {
    /// Whether everything that the commit refers to is here, as the markers say.
    pub fn commit_state(&self, commit: &Checksum) -> Result<CommitState> {
        Ok(match self.root().try_read(marker(commit), 4096)?.as_deref() {
            None => CommitState::Complete,
            Some([b'f', ..]) => CommitState::PartialByFsck,
            Some(_) => CommitState::Partial,
        })
    }

    /// Sets or clears the marker of a commit.
    pub fn set_commit_state(&self, commit: &Checksum, state: CommitState) -> Result<()> {
        let content: &[u8] = match state {
            CommitState::Complete => {
                self.root().try_unlink(marker(commit))?;
                return Ok(());
            }
            CommitState::Partial => b"",
            CommitState::PartialByFsck => b"f",
        };
        self.root().ensure_dir("state", DIR_MODE)?;
        let durable = Durable::when(self.config().fsync);
        self.replace(marker(commit), content, (0o644, durable))
    }
}
