//! Making a deployment: everything short of offering it to the boot loader.

use std::path::{Path, PathBuf};

use updraft_bootenv::KernelArgs;
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Immutable, atomic_write};
use updraft_ostree::Checksum;
use updraft_repo::checkout::{CheckoutOptions, checkout_at};
use updraft_task::{Context, Event, Unit};

use crate::boot_tree::BootTree;
use crate::deployment::parse_dir_name;
use crate::retention::Rules;
use crate::{
    Deployment, DeploymentId, Error, EtcChanges, Locked, Origin, Place, Result, Retain, Sysroot,
    Written, copy,
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
        let current = self.sysroot.deployments()?;
        self.remove_leftovers(&current)?;
        let merge = self.merge_deployment(request, &current)?;
        ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
        let (deployment, etc_changes) = self.make(ctx, request, merge.as_ref())?;
        ctx.check()?;
        let id = deployment.id.clone();
        let rules = Rules {
            retain: request.retain,
            place: request.place,
            booted: request.booted.as_ref(),
            merge: merge.as_ref().map(|merge| &merge.id),
        };
        let written = self.write_deployments(&rules.arrange(current, deployment))?;
        ctx.report(&Event::Finished { phase: PHASE });
        tracing::debug!(?written, "the boot loader offers the new deployment");
        let freed_bytes = if request.keep_objects {
            self.cleanup_deployments()?;
            0
        } else {
            self.cleanup(ctx)?
        };
        let deployment = self.sysroot.deployment(&id)?;
        Ok(Deployed { deployment, etc_changes, written, freed_bytes })
    }

    fn merge_deployment(
        &self,
        request: &DeployRequest,
        current: &[Deployment],
    ) -> Result<Option<Deployment>> {
        let of_stateroot = |deployment: &&Deployment| deployment.id.stateroot == request.stateroot;
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

    fn make(
        &self,
        ctx: &Context,
        request: &DeployRequest,
        merge: Option<&Deployment>,
    ) -> Result<(Deployment, Option<EtcChanges>)> {
        let sysroot = self.sysroot;
        let stateroot = sysroot.stateroot_dir(&request.stateroot)?;
        let parent = stateroot.ensure_dir("deploy", 0o755)?;
        let id = DeploymentId {
            stateroot: request.stateroot.clone(),
            checksum: request.commit,
            deploy_serial: next_serial(&parent, &request.commit)?,
        };
        let options = CheckoutOptions { passthrough_whiteouts: true, ..Default::default() };
        let name = id.dir_name();
        let dest = (&parent, Path::new(&name));
        checkout_at(ctx, &sysroot.repo, &request.commit, dest, &options)?;
        let root = parent.open_dir(&name)?;

        let tree = BootTree::find(&root, &sysroot.options)?;
        prepare_etc(&root)?;
        let etc_changes = match merge {
            Some(merge) => self.merge_etc(merge, &root)?,
            None => None,
        };
        copy::remove(&root.open_dir("etc")?, Path::new(".updated"))?;
        copy::remove(&stateroot.ensure_dir("var", 0o755)?, Path::new(".updated"))?;

        let origin_name = format!("{name}.origin");
        atomic_write(&parent, &origin_name, request.origin.to_text().as_bytes(), 0o644)?;
        // Nobody shall change a deployment by accident. Not every file system knows the flag.
        if !sysroot.options.mutable_deployments
            && let Err(error) = root.set_immutable(Immutable::Yes)
        {
            tracing::debug!(%error, "the deployment is not marked immutable");
        }
        let kernel_args = request.kernel_args.clone();
        let inherited = || merge.map(|merge| merge.kernel_args.clone()).unwrap_or_default();
        let deployment = Deployment {
            boot_checksum: tree.checksum,
            boot_serial: 0,
            kernel_args: kernel_args.unwrap_or_else(inherited),
            overlay_initrds: self.install_overlay_initrds(&request.overlay_initrds)?,
            boot_count: sysroot.new_boot_count()?,
            version: sysroot.commit_version(&id)?,
            origin: Some(request.origin.clone()),
            id,
        };
        Ok((deployment, etc_changes))
    }

    fn merge_etc(&self, merge: &Deployment, root: &Dir) -> Result<Option<EtcChanges>> {
        let old = self.sysroot.root.open_dir(merge.id.path())?;
        let (Some(defaults), Some(actual)) =
            (old.try_open_dir("usr/etc")?, old.try_open_dir("etc")?)
        else {
            return Ok(None);
        };
        let changes = EtcChanges::between(&defaults, &actual)?;
        changes.apply(&actual, &root.open_dir("etc")?)?;
        tracing::info!(
            modified = changes.modified.len(),
            removed = changes.removed.len(),
            added = changes.added.len(),
            "took over the changes of /etc"
        );
        Ok(Some(changes))
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

/// 1 + the highest serial of this commit, or 0.
fn next_serial(parent: &Dir, commit: &Checksum) -> Result<u32> {
    let mut next = 0;
    for entry in parent.entries()? {
        if let Some((checksum, serial)) = entry.name.to_str().and_then(parse_dir_name)
            && checksum == *commit
        {
            next = next.max(serial.saturating_add(1));
        }
    }
    Ok(next)
}

/// Sees to it that defaults are in `usr/etc` and a real copy of them in `etc`.
fn prepare_etc(root: &Dir) -> Result<()> {
    let kind = |path: &str| -> Result<Option<FileKind>> {
        Ok(root.try_metadata(path)?.map(|metadata| metadata.kind))
    };
    let has_etc = kind("etc")? == Some(FileKind::Directory);
    let has_defaults = kind("usr/etc")? == Some(FileKind::Directory);
    if has_etc && has_defaults {
        if !root.open_dir("etc")?.entries()?.is_empty() {
            return Err(Error::other(Kind::Invalid, "Tree contains both /etc and /usr/etc"));
        }
        root.remove_dir("etc")?;
    } else if has_etc {
        root.rename("etc", &root.ensure_dir("usr", 0o755)?, "etc")?;
    } else if !has_defaults {
        root.ensure_dir("usr", 0o755)?.ensure_dir("etc", 0o755)?;
    }
    copy::tree(&root.open_dir("usr")?, Path::new("etc"), root, Path::new("etc"))
}
