//! Boot links: `ostree/boot.B -> boot.B.S`, and below it one link for each deployment.

use std::path::Path;

use updraft_fs::{Dir, atomic_symlink};

use crate::load::read_switch;
use crate::{Deployment, Locked, Result, copy};

impl Locked<'_> {
    /// Writes `boot.B.S` for these deployments, beside the one that `boot.B` points to, and
    /// returns S.
    pub(crate) fn write_boot_links(&self, version: u8, list: &[Deployment]) -> Result<u8> {
        let ostree = &self.sysroot.ostree;
        let name = format!("boot.{version}");
        let subversion = match read_switch(ostree, &name, &format!("{name}."))? {
            Some(1) => 0,
            _ => 1,
        };
        let folder = format!("{name}.{subversion}");
        copy::remove(ostree, Path::new(&folder))?;
        let links = ostree.ensure_dir(&folder, 0o755)?;
        for deployment in list {
            let stateroot = links.ensure_dir(&deployment.id.stateroot, 0o755)?;
            let kernel = stateroot.ensure_dir(&deployment.boot_checksum, 0o755)?;
            kernel.symlink(deployment.id.link_target(), deployment.boot_serial.to_string())?;
            kernel.sync()?;
            stateroot.sync()?;
        }
        links.sync()?;
        ostree.sync()?;
        Ok(subversion)
    }

    /// Makes `boot.B` point to `boot.B.S`, in one step.
    pub(crate) fn switch_boot_links(&self, version: u8, subversion: u8) -> Result<()> {
        let ostree: &Dir = &self.sysroot.ostree;
        atomic_symlink(ostree, format!("boot.{version}"), format!("boot.{version}.{subversion}"))?;
        Ok(())
    }
}
