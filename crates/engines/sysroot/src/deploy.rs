//! Making a deployment: everything short of offering it to the boot loader.

use std::path::PathBuf;

use updraft_bootenv::KernelArgs;
use updraft_ostree::Checksum;
use updraft_task::{Context, Event, Unit};

use crate::retention::Rules;
use crate::{
    Deployment, DeploymentId, EtcChanges, Locked, Origin, Place, Result, Retain, Sysroot, Written,
};

const PHASE: &str = "deploying";

/// Whose `/etc` and kernel arguments a new deployment takes over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Merge {
    /// The booted deployment, when it is of the same stateroot, else the default one of it.
    #[default]
    Default,
    /// This one.
    From(DeploymentId),
    /// Nobody's.
    Nothing,
}

/// What to deploy.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// The stateroot; it must exist.
    pub stateroot: String,
    /// The commit; it must be complete in the sysroot's repository.
    pub commit: Checksum,
    /// What later upgrades follow.
    pub origin: Origin,
    /// The kernel command line. `None`: that of the merge deployment.
    pub kernel_args: Option<KernelArgs>,
    /// Whose `/etc` is taken over.
    pub merge: Merge,
    /// The deployment that runs now, so that it is kept.
    pub booted: Option<DeploymentId>,
    /// What is kept beside that, and what always is.
    pub retain: Retain,
    /// Where it is offered.
    pub place: Place,
    /// Whether objects that nobody needs any more are left in the repository.
    pub keep_objects: bool,
    /// Further initramfs images, laid over that of the commit in this order.
    pub overlay_initrds: Vec<PathBuf>,
}

impl DeployRequest {
    /// A request with the usual choices: merge with what runs, keep it as the way back.
    #[must_use]
    pub fn new(stateroot: &str, commit: Checksum, origin: Origin) -> Self {
        Self {
            stateroot: stateroot.to_owned(),
            commit,
            origin,
            kernel_args: None,
            merge: Merge::Default,
            booted: None,
            retain: Retain::default(),
            place: Place::default(),
            keep_objects: false,
            overlay_initrds: Vec::new(),
        }
    }
}

/// What was made of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// The new deployment.
    pub deployment: Deployment,
    /// What it took over from the `/etc` of another.
    pub etc_changes: Option<EtcChanges>,
    /// Whether `/var` was labelled for the first time.
    pub var_labelled: bool,
    /// How it came to be offered.
    pub written: Written,
    /// Bytes of objects that nobody needed any more.
    pub freed_bytes: u64,
}

impl Locked<'_> {
    /// Deploys a commit, makes it the default of the boot loader (or what the request says), and
    /// removes what nobody needs.
    ///
    /// Kept are: the deployment that runs, the one that was merged with, pinned ones, and all of
    /// other stateroots. A failure before the switch leaves the old default; repeating the call
    /// cleans up what the failed one left.
    ///
    /// # Errors
    /// Any [`Error`]; [`Kind::NotFound`] for a commit without kernel or an unknown stateroot,
    /// [`Kind::Conflict`] when `/etc` cannot be merged.
    pub fn deploy(&self, ctx: &Context, request: &DeployRequest) -> Result<Deployment> {
        Ok(self.deploy_with_report(ctx, request)?.deployment)
    }

    /// As [`Locked::deploy`], but what is the default stays so: the new deployment is offered
    /// after those that are kept, until [`Locked::make_default`] is called for it.
    ///
    /// # Errors
    /// As [`Locked::deploy`].
    pub fn stage(&self, ctx: &Context, request: &DeployRequest) -> Result<Deployment> {
        self.deploy(ctx, &DeployRequest { place: Place::Last, ..request.clone() })
    }

    /// As [`Locked::deploy`], and tells what was done.
    ///
    /// # Errors
    /// As [`Locked::deploy`].
    pub fn deploy_with_report(&self, ctx: &Context, request: &DeployRequest) -> Result<Deployed> {
        let current = self.sysroot.all_deployments()?;
        self.remove_leftovers(&current)?;
        let merge = self.merge_deployment(request, &current)?;
        ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
        let mut deployment = self.check_out(ctx, request, merge.as_ref())?;
        let (etc_changes, var_labelled) = self.complete(&deployment.id, merge.as_ref())?;
        deployment.overlay_initrds = self.install_overlay_initrds(&request.overlay_initrds)?;
        ctx.check()?;
        let id = deployment.id.clone();
        let rules = Rules {
            retain: request.retain,
            place: request.place,
            booted: request.booted.as_ref(),
            merge: merge.as_ref().map(|merge| &merge.id),
        };
        let list = rules.arrange(current, deployment);
        self.make_room_in_boot(&list)?;
        let written = self.write_deployments(&list)?;
        ctx.report(&Event::Finished { phase: PHASE });
        tracing::debug!(?written, "the boot loader offers the new deployment");
        let freed_bytes = if request.keep_objects {
            self.cleanup_deployments()?;
            0
        } else {
            self.cleanup(ctx)?
        };
        let deployment = self.sysroot.deployment(&id)?;
        Ok(Deployed { deployment, etc_changes, var_labelled, written, freed_bytes })
    }

    /// Whose `/etc` and kernel arguments are taken over.
    pub(crate) fn merge_deployment(
        &self,
        request: &DeployRequest,
        current: &[Deployment],
    ) -> Result<Option<Deployment>> {
        // One that is staged has no /etc of its own yet that somebody could have changed.
        let of_stateroot = |deployment: &&Deployment| {
            deployment.id.stateroot == request.stateroot && !deployment.is_staged
        };
        match &request.merge {
            Merge::Nothing => Ok(None),
            Merge::From(id) => self.sysroot.deployment(id).map(Some),
            Merge::Default => {
                let booted = request.booted.as_ref();
                let running =
                    current.iter().filter(of_stateroot).find(|one| Some(&one.id) == booted);
                Ok(running.or_else(|| current.iter().find(of_stateroot)).cloned())
            }
        }
    }
}

impl Sysroot {
    /// What was changed in the `/etc` of a deployment.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such deployment; [`Error::Fs`].
    pub fn etc_changes(&self, id: &DeploymentId) -> Result<EtcChanges> {
        let root = self.root.open_dir(self.deployment(id)?.id.path())?;
        match root.try_open_dir("usr/etc")? {
            Some(defaults) => EtcChanges::between(&defaults, &root.open_dir("etc")?),
            None => Ok(EtcChanges::default()),
        }
    }
}
