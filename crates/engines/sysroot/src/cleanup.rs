//! Removing what no boot loader entry needs any more.
//!
//! Every step can be repeated, and none touches what the current entries name.

use std::collections::BTreeSet;
use std::path::Path;

use updraft_fs::{Dir, FileKind, Immutable};
use updraft_ostree::{RefName, Refspec};
use updraft_repo::prune::{PruneOptions, Roots, prune};
use updraft_task::Context;

use crate::deployment::parse_dir_name;
use crate::loader_link::remove_extra_links;
use crate::{Deployment, DeploymentId, Error, Locked, Result, backing, copy, esp};

impl Locked<'_> {
    /// Removes old boot links, entries, kernels and deployments, and objects that no ref and no
    /// deployment needs; tells how many bytes of objects these were.
    ///
    /// # Errors
    /// Any [`Error`]; what is offered to boot stays complete.
    pub fn cleanup(&self, ctx: &Context) -> Result<u64> {
        self.cleanup_deployments()?;
        let options =
            PruneOptions { roots: Roots::Refs, depth: Some(0), ..PruneOptions::default() };
        Ok(prune(ctx, &self.sysroot.repo, &options)?.freed_bytes)
    }

    /// As [`Locked::cleanup`], without the objects.
    ///
    /// # Errors
    /// As [`Locked::cleanup`].
    pub fn cleanup_deployments(&self) -> Result<()> {
        let list = self.sysroot.all_deployments()?;
        self.remove_leftovers(&list)?;
        self.write_deployment_refs(&list)
    }

    /// What an interrupted or finished change left behind, without the repository.
    pub(crate) fn remove_leftovers(&self, list: &[Deployment]) -> Result<()> {
        self.run_boot_loader_program()?;
        self.remove_esp_leftovers()?;
        self.remove_boot_versions()?;
        self.remove_deployments(list)?;
        self.remove_kernels(list)?;
        self.remove_overlay_initrds(list)
    }

    pub(crate) fn remove_boot_versions(&self) -> Result<()> {
        let ostree = &self.sysroot.ostree;
        let now = self.sysroot.boot_version()?;
        let other = 1 - now.version.min(1);
        let other_sub = 1 - now.subversion.min(1);
        // The link before what it points to.
        copy::remove(ostree, Path::new(&format!("boot.{other}")))?;
        for folder in [
            format!("boot.{other}.0"),
            format!("boot.{other}.1"),
            format!("boot.{}.{other_sub}", now.version),
        ] {
            copy::remove(ostree, Path::new(&folder))?;
        }
        if let Some(boot) = self.sysroot.boot_dir()? {
            remove_extra_links(&boot)?;
            copy::remove(&boot, Path::new(&format!("loader.{other}")))?;
        }
        Ok(())
    }

    fn remove_deployments(&self, list: &[Deployment]) -> Result<()> {
        let Some(deploy) = self.sysroot.ostree.try_open_dir("deploy")? else { return Ok(()) };
        for stateroot in deploy.sorted_entries()? {
            if stateroot.kind != FileKind::Directory {
                continue;
            }
            let os = deploy.open_dir(&stateroot.name)?;
            let Some(folder) = os.try_open_dir("deploy")? else { continue };
            let name = stateroot.name.to_string_lossy().into_owned();
            for id in unlisted(&folder, &name, list)? {
                self.remove_deployment(&folder, &id)?;
            }
            if let Some(backing) = os.try_open_dir(backing::FOLDER)? {
                for id in unlisted(&backing, &name, list)? {
                    copy::remove(&backing, Path::new(&id.dir_name()))?;
                }
            }
        }
        Ok(())
    }

    /// Removes a deployment of this folder, and then its origin.
    pub(crate) fn remove_deployment(&self, folder: &Dir, id: &DeploymentId) -> Result<()> {
        let name = id.dir_name();
        if let Some(root) = folder.try_open_dir(&name)?
            && let Err(error) = root.set_immutable(Immutable::No)
        {
            tracing::debug!(%error, "the deployment has no immutable flag to take away");
        }
        let backing = self.sysroot.stateroot_dir(&id.stateroot)?.try_open_dir(backing::FOLDER)?;
        if let Some(backing) = backing {
            copy::remove(&backing, Path::new(&name))?;
        }
        copy::remove(folder, Path::new(&name))?;
        copy::remove(folder, Path::new(&format!("{name}.origin")))
    }

    pub(crate) fn remove_kernels(&self, list: &[Deployment]) -> Result<()> {
        let Some(boot) = self.sysroot.kernels_dir()? else { return Ok(()) };
        let Some(kernels) = boot.try_open_dir("ostree")? else { return Ok(()) };
        let esp = self.sysroot.esp()?;
        let used: BTreeSet<String> = match &esp {
            Some(esp) => self.sysroot.esp_kernel_folders(esp)?,
            None => list.iter().map(kernel_folder).collect(),
        };
        for entry in kernels.sorted_entries()? {
            let name = entry.name.to_string_lossy().into_owned();
            if entry.kind == FileKind::Directory && is_kernel_folder(&name) && !used.contains(&name)
            {
                match &esp {
                    Some(_) => esp::remove(&kernels, Path::new(&name))?,
                    None => copy::remove(&kernels, Path::new(&name))?,
                }
            }
        }
        Ok(())
    }

    /// Refs `ostree/B/S/INDEX` keep the commits of deployments from being pruned.
    fn write_deployment_refs(&self, list: &[Deployment]) -> Result<()> {
        let repo = &self.sysroot.repo;
        let now = self.sysroot.boot_version()?;
        let prefix = format!("ostree/{}/{}/", now.version, now.subversion);
        let mut wanted = BTreeSet::new();
        for (index, deployment) in list.iter().enumerate() {
            let name = format!("{prefix}{index}");
            let refspec =
                Refspec::local(RefName::new(name.clone()).map_err(|source| Error::Format {
                    what: format!("name ref {name}"),
                    source,
                })?);
            if repo.read_ref(&refspec)? != Some(deployment.id.checksum) {
                repo.set_ref(&refspec, Some(&deployment.id.checksum))?;
            }
            wanted.insert(name);
        }
        for refspec in repo.refs()?.into_keys() {
            let name = refspec.name.as_str();
            if refspec.remote.is_none() && is_deployment_ref(name) && !wanted.contains(name) {
                repo.set_ref(&refspec, None)?;
            }
        }
        Ok(())
    }
}

/// Whether this is `ostree/B/S/INDEX`.
fn is_deployment_ref(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    matches!(parts.as_slice(), ["ostree", "0" | "1", "0" | "1", index]
        if index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `OS-BOOTCSUM`.
pub(crate) fn kernel_folder(deployment: &Deployment) -> String {
    format!("{}-{}", deployment.id.stateroot, deployment.boot_checksum)
}

/// Whether this is `OS-BOOTCSUM`.
pub(crate) fn is_kernel_folder(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(_, checksum)| {
        checksum.len() == 64 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The deployments that a folder has something of, and that are not listed.
fn unlisted(folder: &Dir, stateroot: &str, list: &[Deployment]) -> Result<Vec<DeploymentId>> {
    let mut gone = Vec::new();
    for entry in folder.sorted_entries()? {
        let Some(name) = entry.name.to_str() else { continue };
        let stem = name.strip_suffix(".origin").unwrap_or(name);
        let Some((checksum, deploy_serial)) = parse_dir_name(stem) else { continue };
        let id = DeploymentId { stateroot: stateroot.to_owned(), checksum, deploy_serial };
        let listed = list.iter().any(|deployment| deployment.id == id);
        if !listed && gone.last() != Some(&id) {
            gone.push(id);
        }
    }
    Ok(gone)
}
