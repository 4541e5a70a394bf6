//! A deployment that waits for the shutdown of the running system.
//!
//! It is made beside what runs, but its `/etc` is merged, and it is offered to the boot loader,
//! only when nobody changes `/etc` any more: [`Locked::finalize_staged`], which systemd calls when
//! the system is shut down. Until then `/run/ostree/staged-deployment` tells of it, so that power
//! that fails before leaves nothing but a directory to be cleaned up.

use updraft_bootenv::KernelArgs;
use updraft_fs::atomic_write_unsynced;
use updraft_ostree::Checksum;

use crate::{Deployment, DeploymentId, Locked, Result, Sysroot, copy, overlay_initrds};

pub(crate) mod note;

use note::Note;

const STAGED: &str = "ostree/staged-deployment";
/// What older programs make to keep the deployment from being finished.
const STAGED_LOCKED: &str = "ostree/staged-deployment-locked";
const MAX_NOTE: u64 = 1024 * 1024;

/// The deployment that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// What will be offered.
    pub deployment: Deployment,
    /// Whose `/etc` will be taken over.
    pub merge: Option<DeploymentId>,
    /// Whether it stays as it is at the next shutdown.
    pub is_locked: bool,
    pub(crate) note: Note,
}

impl Sysroot {
    /// The deployment that waits for the shutdown, when this is the root of a running system.
    ///
    /// # Errors
    /// [`updraft_error::Kind::Invalid`] when what tells of it is malformed.
    pub fn staged(&self) -> Result<Option<Staged>> {
        self.staged_beside(&self.deployments()?)
    }

    pub(crate) fn staged_beside(&self, offered: &[Deployment]) -> Result<Option<Staged>> {
        if !self.is_running()? {
            return Ok(None);
        }
        let Some(bytes) = self.read_run(STAGED, MAX_NOTE)? else { return Ok(None) };
        let note = Note::decode(&bytes)?;
        let Some((id, boot_checksum)) = note.target()? else { return Ok(None) };
        // What is offered was finished: by somebody who was killed in between.
        if offered.iter().any(|one| one.id == id) || !self.root.exists(id.path())? {
            return Ok(None);
        }
        let merge = note.merge()?;
        let names = note.overlay_initrds();
        let locked_by_file = self.read_run(STAGED_LOCKED, MAX_NOTE)?.is_some();
        let deployment = Deployment {
            boot_checksum,
            boot_serial: 0,
            // Whoever finishes it counts from the start.
            boot_count: self.new_boot_count(),
            kernel_args: kernel_args(&note, merge.as_ref(), offered),
            overlay_initrds: names.iter().map(|name| overlay_initrds::path_of(name)).collect(),
            version: self.commit_version(&id)?,
            origin: self.load_origin(&id)?,
            is_staged: true,
            id,
        };
        let is_locked = note.is_locked() || locked_by_file;
        Ok(Some(Staged { deployment, merge, is_locked, note }))
    }
}

fn kernel_args(note: &Note, merge: Option<&DeploymentId>, offered: &[Deployment]) -> KernelArgs {
    if let Some(line) = note.kernel_args() {
        let mut args = KernelArgs::parse(&line);
        // Older programs leave that of the deployment in which they found the others.
        args.remove_key("ostree");
        return args;
    }
    let merge = offered.iter().find(|one| Some(&one.id) == merge);
    merge.map(|merge| merge.kernel_args.clone()).unwrap_or_default()
}

impl Locked<'_> {
    /// Keeps the staged deployment from being finished at the next shutdown, or no longer. Tells
    /// whether that was so before.
    ///
    /// # Errors
    /// [`updraft_error::Kind::NotFound`] when none is staged.
    pub fn lock_finalization(&self, locked: bool) -> Result<bool> {
        let mut staged = self.sysroot.staged()?.ok_or_else(no_staged)?;
        if staged.is_locked == locked {
            return Ok(true);
        }
        staged.note.set_locked(locked);
        self.write_staged(&staged.note)?;
        if !locked {
            self.sysroot.run_ostree()?.try_unlink("staged-deployment-locked")?;
        }
        Ok(false)
    }

    /// Commit point of staging: the rename within. What is in `/run` needs no disk.
    pub(crate) fn write_staged(&self, note: &Note) -> Result<()> {
        let run = self.sysroot.run_ostree()?;
        Ok(atomic_write_unsynced(&run, "staged-deployment", &note.encode(), 0o600)?)
    }

    /// From here on nobody knows of the staged deployment.
    pub(crate) fn forget_staged(&self) -> Result<()> {
        let run = self.sysroot.run_ostree()?;
        run.try_unlink("staged-deployment")?;
        run.try_unlink("staged-deployment-locked")?;
        Ok(())
    }

    /// The list without a staged deployment. That one stays when it is the first of the list, and
    /// is gone otherwise: it was made to be the default, which another is now.
    pub(crate) fn settle_staged(&self, list: &[Deployment]) -> Result<Vec<Deployment>> {
        if let Some(staged) = self.sysroot.staged()?
            && list.first().is_none_or(|first| first.id != staged.deployment.id)
        {
            self.drop_staged(&staged.deployment.id)?;
        }
        Ok(list.iter().filter(|one| !one.is_staged).cloned().collect())
    }

    /// Takes the staged deployment away, files and all.
    pub(crate) fn drop_staged(&self, id: &DeploymentId) -> Result<()> {
        self.forget_staged()?;
        let folder = self.sysroot.stateroot_dir(&id.stateroot)?.open_dir("deploy")?;
        self.remove_deployment(&folder, id)
    }

    /// Where overlay initrds wait; each is named by its checksum.
    pub(crate) fn keep_staged_initrds(&self, images: &[std::path::PathBuf]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for image in images {
            let (checksum, bytes) = overlay_initrds::read(image)?;
            let folder = self.sysroot.run_ostree()?.ensure_dir("staged-initrds", 0o755)?;
            atomic_write_unsynced(&folder, checksum.to_string(), &bytes, 0o644)?;
            names.push(checksum.to_string());
        }
        Ok(names)
    }

    /// Copies the overlay initrds of a staged deployment to `/boot`.
    pub(crate) fn install_staged_initrds(&self, note: &Note) -> Result<()> {
        let names = note.overlay_initrds();
        if names.is_empty() {
            return Ok(());
        }
        let waiting = self.sysroot.run_ostree()?.open_dir("staged-initrds")?;
        for name in names {
            // It is content that the file is named by, and nothing that could lead elsewhere.
            let checksum: Checksum = name.parse().map_err(|source| crate::Error::Format {
                what: format!("install the overlay initrd {name}"),
                source,
            })?;
            let bytes = waiting.read(&name, overlay_initrds::MAX_IMAGE)?;
            self.install_overlay_initrd(&checksum, &bytes)?;
        }
        copy::remove(&self.sysroot.run_ostree()?, std::path::Path::new("staged-initrds"))
    }
}

pub(crate) fn no_staged() -> crate::Error {
    crate::Error::other(updraft_error::Kind::NotFound, "No staged deployment")
}
