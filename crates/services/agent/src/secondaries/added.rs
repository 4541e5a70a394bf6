//! Secondaries that the program around the agent brought: they outlive every cycle.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use updraft_ipuptane::OstreeCredentials;
use updraft_secondary::{Installation, Result};
use updraft_task::Context;
use updraft_tuf::{Repository, TrustedMetadata};

use super::seam::{Known, Secondary};

/// One of them, shared by the cycles.
pub(crate) type Added = Arc<Mutex<Box<dyn Secondary>>>;

/// One of them, in one cycle.
pub(crate) struct AddedSecondary(Added);

impl AddedSecondary {
    pub(crate) fn of(added: &Added) -> Self {
        Self(Arc::clone(added))
    }

    fn inner(&self) -> MutexGuard<'_, Box<dyn Secondary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secondary for AddedSecondary {
    fn info(&mut self, ctx: &Context) -> Result<Known> {
        self.inner().info(ctx)
    }

    fn manifest(&mut self, ctx: &Context) -> Result<Vec<u8>> {
        self.inner().manifest(ctx)
    }

    fn root_version(&mut self, ctx: &Context, repository: Repository) -> Result<Option<u64>> {
        self.inner().root_version(ctx, repository)
    }

    fn put_root(&mut self, ctx: &Context, repository: Repository, bytes: &[u8]) -> Result<()> {
        self.inner().put_root(ctx, repository, bytes)
    }

    fn put_metadata(&mut self, ctx: &Context, metadata: &TrustedMetadata) -> Result<()> {
        self.inner().put_metadata(ctx, metadata)
    }

    fn send_image(&mut self, ctx: &Context, image: &mut File, length: u64) -> Result<()> {
        self.inner().send_image(ctx, image, length)
    }

    fn download_commit(&mut self, ctx: &Context, from: &OstreeCredentials) -> Result<()> {
        self.inner().download_commit(ctx, from)
    }

    fn install(&mut self, ctx: &Context, filepath: &str) -> Result<Installation> {
        self.inner().install(ctx, filepath)
    }

    fn revert(&mut self, ctx: &Context) -> Result<()> {
        self.inner().revert(ctx)
    }

    fn confirm(&mut self, ctx: &Context) -> Result<()> {
        self.inner().confirm(ctx)
    }
}
