//! Which SELinux policy labels what is committed.

use updraft_error::Kind;
use updraft_repo::Repo;
use updraft_repo::commit::TreeSource;
use updraft_repo::selinux::{self, Policy};
use updraft_terminal::{Failure, Result};

use super::Commit;

/// The newest way to compute labels that is known by number.
const NEWEST_EPOCH: u32 = 1;

impl Commit {
    /// Refuses options that contradict each other.
    pub(super) fn check_labels(&self) -> Result {
        if self.selinux_policy.is_some() && self.selinux_policy_from_base {
            let message = "Cannot specify both --selinux-policy and --selinux-policy-from-base";
            return Err(Failure::new(Kind::Invalid, message));
        }
        if let Some(epoch) = self.selinux_labeling_epoch.filter(|epoch| *epoch > NEWEST_EPOCH) {
            let message = format!("Unknown SELinux labeling epoch: {epoch}");
            return Err(Failure::new(Kind::Invalid, message));
        }
        Ok(())
    }

    /// The policy, if one is asked for and is there.
    pub(super) fn policy(&self, repo: &Repo) -> Result<Option<Policy>> {
        if let Some(root) = &self.selinux_policy {
            return Ok(selinux::from_folder(root)?);
        }
        if !self.selinux_policy_from_base {
            return Ok(None);
        }
        if let Some(base) = &self.base {
            return Ok(selinux::from_commit(repo, &repo.resolve(base)?)?);
        }
        match self.sources(repo)?.first() {
            Some(TreeSource::Directory(path)) => Ok(selinux::from_folder(path)?),
            Some(TreeSource::Commit(commit)) => Ok(selinux::from_commit(repo, commit)?),
            // A stream can be read only once.
            Some(TreeSource::Tar(_)) => Err(Failure::new(
                Kind::Unsupported,
                "Cannot read the SELinux policy of a tar stream",
            )
            .hint("unpack it and name the folder with --selinux-policy")),
            None => Ok(None),
        }
    }
}
