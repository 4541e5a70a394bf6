//! What a deployment is made of, in two parts: what can be done at any time, and what takes over
//! the state of the system that runs and is therefore done last.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Immutable, atomic_write};
use updraft_ostree::Checksum;
use updraft_repo::checkout::{CheckoutOptions, checkout_at};
use updraft_task::Context;

use crate::boot_tree::BootTree;
use crate::deployment::parse_dir_name;
use crate::{
    DeployRequest, Deployment, DeploymentId, Error, EtcChanges, Locked, Result, copy, label,
    policy_modules,
};

impl Locked<'_> {
    /// Checks the commit out, with an `/etc` of its own and an origin. The list of overlay initrds
    /// is the caller's to fill.
    pub(crate) fn check_out(
        &self,
        ctx: &Context,
        request: &DeployRequest,
        merge: Option<&Deployment>,
    ) -> Result<Deployment> {
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

        let inherited = || merge.map(|merge| merge.kernel_args.clone()).unwrap_or_default();
        let kernel_args = request.kernel_args.clone().unwrap_or_else(inherited);
        self.write_composefs_image(ctx, &id, &root, &kernel_args)?;
        let tree = BootTree::find(&root, &sysroot.options)?;
        // Files of the commit are links to its objects; configuration is copied.
        let defaults = root.try_open_dir("usr")?.filter(|usr| usr.exists("etc").unwrap_or(false));
        if let Some(usr) = defaults {
            let bytes = copy::size(&usr, Path::new("etc"))?;
            sysroot.repo.check_room("make the deployment", bytes)?;
        }
        prepare_etc(&root)?;
        self.fill_var(&root, &stateroot)?;
        let origin_name = format!("{name}.origin");
        atomic_write(&parent, &origin_name, request.origin.to_text().as_bytes(), 0o644)?;
        Ok(Deployment {
            boot_checksum: tree.checksum,
            boot_serial: 0,
            boot_count: sysroot.new_boot_count(),
            kernel_args,
            overlay_initrds: Vec::new(),
            version: sysroot.commit_version(&id)?,
            origin: Some(request.origin.clone()),
            is_staged: false,
            id,
        })
    }

    /// Takes over the `/etc` of another, and closes the deployment. Tells what it took over, and
    /// whether `/var` was labelled for the first time.
    pub(crate) fn complete(
        &self,
        id: &DeploymentId,
        merge: Option<&Deployment>,
    ) -> Result<(Option<EtcChanges>, bool)> {
        let root = self.sysroot.root.open_dir(id.path())?;
        let stateroot = self.sysroot.stateroot_dir(&id.stateroot)?;
        let etc_changes = match merge {
            Some(merge) => self
                .merge_etc(merge, &root)
                .map_err(|error| error.within("Finalizing deployment"))?,
            None => None,
        };
        if etc_changes.is_some() {
            let failed = |error: Error| error.within("Finalizing SELinux policy");
            policy_modules::refresh(&root).map_err(failed)?;
        }
        label::etc(&root)?;
        copy::remove(&root.open_dir("etc")?, Path::new(".updated"))?;
        let var = stateroot.ensure_dir("var", 0o755)?;
        copy::remove(&var, Path::new(".updated"))?;
        let var_labelled = label::var(&root, &var)?;
        self.make_backing(id, &root)?;
        // Nobody shall change a deployment by accident. Not every file system knows the flag.
        if !self.sysroot.options.mutable_deployments
            && let Err(error) = root.set_immutable(Immutable::Yes)
        {
            tracing::debug!(%error, "the deployment is not marked immutable");
        }
        Ok((etc_changes, var_labelled))
    }

    fn merge_etc(&self, merge: &Deployment, root: &Dir) -> Result<Option<EtcChanges>> {
        let old = self.sysroot.root.open_dir(merge.id.path())?;
        let (Some(defaults), Some(actual)) =
            (old.try_open_dir("usr/etc")?, old.try_open_dir("etc")?)
        else {
            return Ok(None);
        };
        let prefix = |error: Error| error.within("During /etc merge");
        let changes = EtcChanges::between(&defaults, &actual).map_err(prefix)?;
        changes.apply(&defaults, &actual, &root.open_dir("etc")?).map_err(prefix)?;
        tracing::info!(
            modified = changes.modified.len(),
            removed = changes.removed.len(),
            added = changes.added.len(),
            "took over the changes of /etc"
        );
        Ok(Some(changes))
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
