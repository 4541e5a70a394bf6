//! The roots that a secondary lacks.

use updraft_error::Kind;
use updraft_task::Context;
use updraft_tuf::{Repository, RoleName};
use updraft_update::StepError;

use super::installer::{SecondaryInstaller, of_ecu};
use crate::gateway::File;

/// The most roots that a secondary is given in one piece of work.
const MAX_ROOTS: u64 = 1024;
/// The largest root that is fetched for a secondary, in bytes.
const MAX_ROOT: u64 = 512 << 10;

impl SecondaryInstaller<'_> {
    /// Gives the secondary the roots that it lacks, one after the other.
    pub(super) fn send_roots(&mut self, ctx: &Context) -> Result<(), StepError> {
        for repository in [Repository::Director, Repository::Image] {
            let own = self.own_root_version(repository)?;
            let theirs = self.ecu.root_version(ctx, repository).map_err(of_ecu)?;
            let Some(theirs) = theirs else { continue };
            let first = theirs.saturating_add(1);
            for version in (first..=own).take(usize::try_from(MAX_ROOTS).unwrap_or(usize::MAX)) {
                let root = self.root(ctx, repository, version)?;
                self.ecu.put_root(ctx, repository, &root).map_err(of_ecu)?;
            }
        }
        Ok(())
    }

    fn own_root_version(&self, repository: Repository) -> Result<u64, StepError> {
        let trusted = self.session.store.trusted_metadata().map_err(StepError::new)?;
        let root = trusted.files(repository).get(&RoleName::Root);
        let version = root.and_then(|bytes| {
            let root: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            root.pointer("/signed/version")?.as_u64()
        });
        Ok(version.unwrap_or(0))
    }

    /// A root that was trusted once; one from before this state is fetched. The secondary verifies
    /// it, as it does everything.
    fn root(
        &self,
        ctx: &Context,
        repository: Repository,
        version: u64,
    ) -> Result<Vec<u8>, StepError> {
        let kept = self.session.store.old_root(repository, version).map_err(StepError::new)?;
        if let Some(root) = kept {
            return Ok(root);
        }
        let name = format!("{version}.root.json");
        match self.session.gateway.metadata(ctx, repository, &name, MAX_ROOT) {
            Ok(File::Bytes(bytes)) => Ok(bytes),
            Ok(_) => Err(StepError::message(
                Kind::NotFound,
                format!("find {repository} root {version} for a secondary"),
            )),
            Err(error) => Err(StepError::new(error)),
        }
    }
}
