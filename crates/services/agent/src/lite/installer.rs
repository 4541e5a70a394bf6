//! The installer: OSTree deployments, from any of several sources, with a boot loader that is told
//! by variables.

use std::path::PathBuf;

use updraft_error::{Classify as _, Kind};
use updraft_ostree::Checksum;
use updraft_task::Context;
use updraft_tuf::{TufTarget, Verified};
use updraft_update::{Effect, Health, Image, Installer, Observation, StepError};

use super::boot_environment::BootEnvironment;
use super::pull;
use crate::ostree::OstreeInstaller;
use crate::session::Session;

/// Deployments of one stateroot.
#[derive(Debug)]
pub(super) struct LiteInstaller<'a> {
    pub(super) inner: OstreeInstaller<'a>,
    pub(super) session: &'a Session,
    pub(super) environment: BootEnvironment,
    /// The repository of a bundle, while one is used.
    pub(super) bundle: Option<PathBuf>,
}

impl Installer for LiteInstaller<'_> {
    type Target = TufTarget;

    fn effect(&self) -> Effect {
        self.inner.effect()
    }

    fn observe(&mut self, ctx: &Context) -> Result<Observation, StepError> {
        self.inner.observe(ctx)
    }

    fn is_fetched(&mut self, ctx: &Context, image: &Image) -> Result<bool, StepError> {
        self.inner.is_fetched(ctx, image)
    }

    fn fetch(&mut self, ctx: &Context, target: &Verified<TufTarget>) -> Result<(), StepError> {
        let commit = commit_of(target)?;
        let mut last = pull::no_source();
        for source in pull::sources(ctx, self.session, self.bundle.as_deref(), &target.path)? {
            match self.inner.pull_commit(ctx, &source, commit) {
                Ok(()) => return Ok(()),
                Err(error) if matches!(error.kind(), Kind::Cancelled | Kind::Exhausted) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(error = error.chain(), "a source does not give the target");
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn discard(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.inner.discard(ctx, image)
    }

    fn stage(&mut self, ctx: &Context, target: &Verified<TufTarget>) -> Result<(), StepError> {
        self.inner.stage_commit(ctx, commit_of(target)?)
    }

    fn unstage(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.inner.unstage(ctx, image)
    }

    fn activate(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        let deployment = self.inner.deployment_path(image)?;
        self.environment.check_firmware(ctx, &deployment)?;
        self.environment.before_installation(ctx);
        self.inner.activate(ctx, image)?;
        self.environment.offer_firmware(ctx, &deployment);
        Ok(())
    }

    fn deactivate(
        &mut self,
        ctx: &Context,
        image: &Image,
        back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        self.inner.deactivate(ctx, image, back_to)?;
        // It ran before: a boot loader that counted it would go to what is left.
        self.environment.good(ctx);
        Ok(())
    }

    fn check_health(&mut self, ctx: &Context, image: &Image) -> Result<Health, StepError> {
        self.inner.check_health(ctx, image)
    }

    fn why_not_running(&mut self, ctx: &Context, image: &Image) -> Option<String> {
        self.inner.why_not_running(ctx, image)
    }

    fn confirm(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.environment.good(ctx);
        self.inner.confirm(ctx, image)
    }
}

fn commit_of(target: &TufTarget) -> Result<Checksum, StepError> {
    let sha256 = target.hashes.sha256().ok_or_else(|| {
        StepError::message(Kind::Rejected, format!("find a sha256 of {}", target.path))
    })?;
    sha256.parse().map_err(StepError::new)
}
