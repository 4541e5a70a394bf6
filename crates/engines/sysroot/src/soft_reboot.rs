//! Soft reboots: another deployment takes over while the kernel goes on running.
//!
//! The next root is put together below `/run/nextroot` by the program that also makes a deployment
//! the root at boot; systemd moves there when it is asked for a soft reboot. What is here says
//! whether a deployment can take over, forgets one that was prepared, and makes the note of the
//! next root that of the running one.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, mount};

use crate::composefs::IMAGE;
use crate::prepare_root::Composefs;
use crate::running::{backing_root, identity};
use crate::{Deployment, DeploymentId, Error, Locked, Result, Sysroot};

/// The note about the next root, as `/run/ostree-booted` is about the running one.
const NOTE: &str = "nextroot-booted";

impl Sysroot {
    /// Whether something was prepared for the next soft reboot.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn is_soft_reboot_prepared(&self) -> Result<bool> {
        Ok(self.soft_reboot_note()?.is_some())
    }

    /// Which of these deployments the next soft reboot is prepared for.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn soft_reboot_target(&self, of: &[Deployment]) -> Result<Option<DeploymentId>> {
        let Some(wanted) = self.soft_reboot_note()?.as_deref().and_then(backing_root) else {
            return Ok(None);
        };
        for deployment in of {
            if identity(&self.root.open_dir(deployment.id.path())?)? == wanted {
                return Ok(Some(deployment.id.clone()));
            }
        }
        Ok(None)
    }

    fn soft_reboot_note(&self) -> Result<Option<Vec<u8>>> {
        self.read_run(&format!("ostree/{NOTE}"), 1 << 20)
    }

    /// Whether a deployment can take over without a reboot of the machine.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the system does not run from a deployment; [`Kind::Conflict`] when
    /// the deployment runs already, or wants another kernel or other arguments of it;
    /// [`Kind::Unsupported`] when it has no composefs image.
    pub fn check_soft_reboot(&self, id: &DeploymentId) -> Result<()> {
        let running = self.running()?.ok_or_else(|| {
            Error::other(Kind::NotFound, "Not currently booted into an OSTree system")
        })?;
        if running == *id {
            let message =
                format!("Cannot prepare for soft-reboot currently booted deployment {id}");
            return Err(Error::other(Kind::Conflict, message));
        }
        let (from, to) = (self.deployment(&running)?, self.deployment(id)?);
        if from.boot_checksum != to.boot_checksum || from.kernel_args != to.kernel_args {
            let message = "Cannot soft-reboot to deployment with different kernel state";
            return Err(Error::other(Kind::Conflict, message));
        }
        let has_image = self.root.open_dir(id.path())?.exists(IMAGE)?;
        if !has_image || self.composefs(id)? == Composefs::No {
            let message = "soft reboot not supported without composefs";
            return Err(Error::other(Kind::Unsupported, message));
        }
        Ok(())
    }
}

impl Locked<'_> {
    /// Takes back what was prepared for the next soft reboot; nothing when there is nothing.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn forget_soft_reboot(&self) -> Result<()> {
        if !self.sysroot.is_soft_reboot_prepared()? {
            return Ok(());
        }
        let next = self.sysroot.options.run_folder.join("nextroot");
        // The note first: nobody shall take a half of a root for a whole one.
        self.sysroot.run_ostree()?.try_unlink(NOTE)?;
        if Dir::open(&next).is_ok() {
            mount::detach(&next)?;
        }
        Ok(())
    }

    /// After a soft reboot: the note about what was the next root is about the running one.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn complete_soft_reboot(&self) -> Result<bool> {
        if !self.sysroot.is_soft_reboot_prepared()? {
            return Ok(false);
        }
        let run = Dir::open(&self.sysroot.options.run_folder)?;
        // Commit point: from here on the other deployment is the one that runs.
        run.open_dir("ostree")?.rename(NOTE, &run, Path::new("ostree-booted"))?;
        Ok(true)
    }
}
