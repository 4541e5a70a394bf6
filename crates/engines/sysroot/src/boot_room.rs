//! Room in a small `/boot`.
//!
//! The kernels of all deployments are there, also of those that a new one takes the place of. Where
//! the new one does not fit beside them, they have to go first: a switch to the deployments that
//! stay anyway, and after that one to the whole new list. Nothing that can be booted is at risk.

use std::collections::BTreeSet;
use std::path::Path;

use updraft_fs::{Dir, space};

use crate::boot_tree::BootTree;
use crate::cleanup::kernel_folder;
use crate::copy::size;
use crate::{Deployment, Locked, Result};

/// For the entries, and for what file systems need for themselves.
const SLACK: u64 = 1 << 20;

impl Locked<'_> {
    /// Sees to it that the kernels of `list` fit, where `/boot` is a file system of its own.
    pub(crate) fn make_room_in_boot(&self, list: &[Deployment]) -> Result<()> {
        let Some(boot) = self.sysroot.boot_dir()? else { return Ok(()) };
        if self.sysroot.esp()?.is_some() {
            // There it is a part of the switch.
            return Ok(());
        }
        if boot.own_metadata()?.device == self.sysroot.root.own_metadata()?.device {
            return Ok(());
        }
        let needed = self.bytes_of_new_kernels(&boot, list)?;
        let space = space::of(&boot)?;
        if needed == 0 || needed.saturating_add(SLACK) <= space.available {
            return Ok(());
        }
        let stays = |one: &&Deployment| list.iter().any(|new| new.id == one.id);
        let current = self.sysroot.deployments()?;
        let common: Vec<Deployment> = current.iter().filter(stays).cloned().collect();
        let freed = bytes_that_go(&boot, &current, list)?;
        if common.is_empty()
            || freed == 0
            || needed.saturating_add(SLACK) > space.available.saturating_add(freed)
        {
            // It would not help; the system says what is missing when it is written.
            return Ok(());
        }
        tracing::info!(needed, available = space.available, freed, "making room in /boot first");
        self.write_deployments(&common)?;
        self.remove_boot_versions()?;
        self.remove_kernels(&common)
    }

    fn bytes_of_new_kernels(&self, boot: &Dir, list: &[Deployment]) -> Result<u64> {
        let kernels = boot.try_open_dir("ostree")?;
        let mut seen = BTreeSet::new();
        let mut bytes = 0_u64;
        for deployment in list {
            let name = kernel_folder(deployment);
            let there = kernels.as_ref().map(|dir| dir.exists(&name)).transpose()?;
            if there == Some(true) || !seen.insert(name) {
                continue;
            }
            let root = self.sysroot.root.open_dir(deployment.id.path())?;
            let tree = BootTree::find(&root, &self.sysroot.options)?;
            for file in tree.files() {
                bytes = bytes.saturating_add(size(&tree.folder, &file.source)?);
            }
        }
        Ok(bytes)
    }
}

/// What the kernels take that only deployments have which are not in the new list.
fn bytes_that_go(boot: &Dir, current: &[Deployment], list: &[Deployment]) -> Result<u64> {
    let Some(kernels) = boot.try_open_dir("ostree")? else { return Ok(0) };
    let used: BTreeSet<String> = list.iter().map(kernel_folder).collect();
    let going: BTreeSet<String> = current.iter().map(kernel_folder).collect();
    let mut bytes = 0_u64;
    for name in going.difference(&used) {
        if kernels.exists(name)? {
            bytes = bytes.saturating_add(size(&kernels, Path::new(name))?);
        }
    }
    Ok(bytes)
}
