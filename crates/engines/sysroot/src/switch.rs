//! The switch: what the boot loader offers, before and after, with nothing in between.

use std::collections::BTreeMap;

use updraft_error::Kind;
use updraft_fs::{Dir, flush};
use updraft_task::Context;

use crate::boot_count::tried_anew;
use crate::boot_loader::Slots;
use crate::{BootVersion, Deployment, DeploymentId, Error, Locked, Result};

/// How a list of deployments became current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It was already.
    Nothing,
    /// The entries are the same; only the links that they go through changed.
    BootLinks,
    /// New entries.
    Entries,
}

/// A list of deployments became current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// In this way.
    pub switch: Switch,
    /// With these links and entries.
    pub version: BootVersion,
    /// How many deployments there are more than before.
    pub count_change: i64,
    /// Whether everything that a boot loader reads changed in one step.
    pub is_atomic: bool,
}

impl Locked<'_> {
    /// Makes these deployments the ones that the boot loader offers, the first one as default.
    ///
    /// When kernels, command lines and versions stay the same, one by one, the commit point is
    /// the rename that replaces the link `ostree/boot.B`. Otherwise it is the rename that
    /// replaces the link `boot/loader`; before it, everything that the new entries need is
    /// durable, and after it, `/boot` is flushed so that a boot loader that replays no journal
    /// sees it, before anything that the old entries need is removed. On a file system without
    /// links it is the rename of the new default's entry (see `esp.rs`).
    ///
    /// # Errors
    /// [`Error::Fs`] and others; the old list is still current then, unless the error came from
    /// the last flush, after which either list may be.
    pub fn write_deployments(&self, list: &[Deployment]) -> Result<Written> {
        let list = self.settle_staged(list)?;
        let current = self.sysroot.deployments()?;
        if let Some(esp) = self.sysroot.esp()? {
            return self.write_esp(&esp, &current, &list);
        }
        let list = with_boot_serials(&self.with_verdicts(&current, &list)?);
        let now = self.sysroot.boot_version()?;
        let count = |list: &[Deployment]| i64::try_from(list.len()).unwrap_or(i64::MAX);
        let count_change = count(&list).saturating_sub(count(&current));
        let written =
            |switch, version, is_atomic| Written { switch, version, count_change, is_atomic };
        // A slot leads to a deployment by a link of its own, which such a switch does not change.
        let has_slots = Slots::find(self.sysroot)?.is_some();
        let same_ids =
            current.len() == list.len() && current.iter().zip(&list).all(|(a, b)| a.id == b.id);
        let same_entries = !current.is_empty()
            && (same_ids || !has_slots)
            && current.len() == list.len()
            && current.iter().zip(&list).all(|(old, new)| old.boots_like(new));
        if same_entries {
            let same = current.iter().zip(&list).all(|(old, new)| old.id == new.id);
            if same {
                self.disarm_counter(&list)?;
                return Ok(written(Switch::Nothing, now, true));
            }
            let subversion = self.write_boot_links(now.version, &list)?;
            self.arm_counter(&current, &list)?;
            self.flush()?;
            // Commit point: boot.B -> boot.B.S.
            self.switch_boot_links(now.version, subversion)?;
            self.flush()?;
            self.disarm_counter(&list)?;
            self.touch_deployments()?;
            return Ok(written(Switch::BootLinks, BootVersion { subversion, ..now }, true));
        }
        let boot_loader = self.sysroot.boot_loader()?;
        let version = 1 - now.version.min(1);
        let subversion = self.write_boot_links(version, &list)?;
        // Nothing reads this boot.B yet: the current entries name the other one.
        self.switch_boot_links(version, subversion)?;
        self.write_entries(version, &list)?;
        if let Some(boot_loader) = &boot_loader {
            self.sysroot.write_boot_loader(boot_loader, version, &list)?;
        }
        self.arm_counter(&current, &list)?;
        // Commit point: within, the rename of boot/loader.
        let boot = self.sysroot.root.open_dir("boot")?;
        self.switch_loader(&boot, version, list.first())?;
        self.run_boot_loader_program()?;
        self.disarm_counter(&list)?;
        self.touch_deployments()?;
        let is_atomic = boot_loader.is_some_and(|boot_loader| boot_loader.is_atomic());
        Ok(written(Switch::Entries, BootVersion { version, subversion }, is_atomic))
    }

    /// Who watches for changes, watches the time of this folder.
    pub(crate) fn touch_deployments(&self) -> Result<()> {
        Ok(self.sysroot.ostree.open_dir("deploy")?.touch_self()?)
    }

    /// Makes a deployment that is offered already the default; the others keep their order.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not offered, and as [`Locked::write_deployments`].
    pub fn make_default(&self, ctx: &Context, id: &DeploymentId) -> Result<Written> {
        let mut list = self.sysroot.all_deployments()?;
        let at = list.iter().position(|deployment| deployment.id == *id).ok_or_else(|| {
            Error::other(Kind::NotFound, format!("find deployment {id} to make it the default"))
        })?;
        let fresh = self.sysroot.new_boot_count();
        if let Some(first) = list.get_mut(..=at) {
            first.rotate_right(1);
        }
        if let Some(default) = list.first_mut() {
            default.boot_count = tried_anew(default.boot_count, fresh);
        }
        let written = self.write_deployments(&list)?;
        self.cleanup(ctx)?;
        Ok(written)
    }

    /// Goes back: makes the second deployment of the default's stateroot that was not found bad
    /// the default, and returns its name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none to go back to.
    pub fn rollback(&self, ctx: &Context) -> Result<DeploymentId> {
        let list = self.sysroot.deployments()?;
        let stateroot = list.first().map(|deployment| deployment.id.stateroot.clone());
        let others =
            || list.iter().skip(1).filter(|one| Some(&one.id.stateroot) == stateroot.as_ref());
        // One that was found bad only when there is no other.
        let previous = others().find(|one| !one.is_bad()).or_else(|| others().next());
        let id = previous.map(|deployment| deployment.id.clone()).ok_or_else(|| {
            let os = stateroot.unwrap_or_default();
            Error::other(Kind::NotFound, format!("No previous deployment for OS '{os}'"))
        })?;
        self.make_default(ctx, &id)?;
        Ok(id)
    }

    /// Takes a deployment away, files and all; tells how, and how many bytes of objects nobody
    /// needed any more.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for the booted one; [`Kind::NotFound`] when it is not offered.
    pub fn undeploy(
        &self,
        ctx: &Context,
        id: &DeploymentId,
        booted: Option<&DeploymentId>,
    ) -> Result<(Written, u64)> {
        if booted == Some(id) {
            let message = format!("Cannot undeploy currently booted deployment {id}");
            return Err(Error::other(Kind::Conflict, message));
        }
        let mut list = self.sysroot.all_deployments()?;
        let before = list.len();
        list.retain(|deployment| deployment.id != *id);
        if list.len() == before {
            return Err(Error::other(Kind::NotFound, format!("find deployment {id}")));
        }
        let written = self.write_deployments(&list)?;
        Ok((written, self.cleanup(ctx)?))
    }

    /// Makes everything durable. Where `/boot` is a file system of its own, or this is the root
    /// of a running system, also for readers that replay no journal.
    pub(crate) fn flush(&self) -> Result<()> {
        let sysroot = self.sysroot;
        if sysroot.options.skip_sync {
            return Ok(());
        }
        sysroot.ostree.syncfs()?;
        if let Some(esp) = sysroot.esp()? {
            esp.syncfs()?;
        }
        if let Some(boot) = sysroot.boot_dir()? {
            if needs_boot_loader_flush(&sysroot.root, &boot)? {
                flush::for_boot_loader(&boot)?;
            } else {
                boot.syncfs()?;
            }
        }
        Ok(())
    }
}

fn needs_boot_loader_flush(root: &Dir, boot: &Dir) -> Result<bool> {
    let separate = root.own_metadata()?.device != boot.own_metadata()?.device;
    let running = {
        let slash = Dir::open("/")?.own_metadata()?;
        let own = root.own_metadata()?;
        (slash.device, slash.inode) == (own.device, own.inode)
    };
    Ok(separate || running)
}

/// Numbers the deployments that share a kernel, in the order of the list, those of other stateroots
/// among them.
fn with_boot_serials(list: &[Deployment]) -> Vec<Deployment> {
    let mut next: BTreeMap<String, u32> = BTreeMap::new();
    let mut list = list.to_vec();
    for deployment in &mut list {
        let serial = next.entry(deployment.boot_checksum.clone()).or_insert(0);
        deployment.boot_serial = *serial;
        *serial = serial.saturating_add(1);
    }
    list
}
