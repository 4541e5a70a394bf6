//! Boot counting: a new deployment may be tried so often, and then the one before it is booted.
//!
//! Every deployment's counter is in the name of its entry, `ostree-2+3-0.conf`, as the Boot Loader
//! Specification has it; a deployment without one was found good. systemd-boot counts there. GRUB
//! and U-Boot cannot rename files: they count in an environment of their own, which knows one
//! counter, that of the default. For them the name says only whether the deployment is on trial,
//! good or bad, and [`DefaultCounter`] has the number.
//!
//! A counter is set before the switch: a new default is never tried uncounted, and a counter
//! without a new default does no harm, for [`Locked::mark_good`] ends it.

use updraft_bootenv::{BootCount, BootVerdict, CountedName, EntryName};
use updraft_error::Kind;
use updraft_fs::Dir;

use crate::boot_loader::{BootLoader, offered};
use crate::esp::{rename_entry, rename_to_new};
use crate::{Deployment, DeploymentId, Error, Locked, Result, Sysroot};

mod grub;
mod initramfs;
mod slots;
mod uboot;

pub use grub::grub_script;

/// Who counts the tries of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootCounting {
    /// A boot loader that renames entries, such as systemd-boot.
    Entries,
    /// GRUB, in its environment block.
    GrubEnvironment,
    /// U-Boot, in its environment.
    UbootEnvironment,
    /// `updraft-init`, in a file on the root file system.
    Initramfs,
    /// Android's boot loader, in the partition `misc`.
    AndroidSlots,
    /// Nobody: the boot loader cannot. Who boots has to decide.
    Nobody,
}

/// A counter beside the entries, for the default alone.
pub(crate) trait DefaultCounter {
    /// The counter. `None`: the default is not on trial.
    fn count(&self) -> Result<Option<BootCount>>;
    /// Puts the default, or what is about to become it, on trial.
    fn arm(&self, default: &DeploymentId, tries: u32) -> Result<()>;
    /// Ends the trial: the default is good, or never to be booted again.
    fn settle(&self, verdict: BootVerdict) -> Result<()>;
    /// Whether it names the deployment that it counts, so that it holds for no other one.
    fn is_about_one_deployment(&self) -> bool {
        false
    }
}

impl Sysroot {
    /// How often a new deployment may be tried: `sysroot.boot-counting-tries` of the repository's
    /// configuration, which is from 0 to 5. 0: it is not counted.
    #[must_use]
    pub fn boot_counting_tries(&self) -> u32 {
        self.repo.config().boot_counting_tries
    }

    /// The counter of a deployment that was never tried.
    pub(crate) fn new_boot_count(&self) -> Option<BootCount> {
        let tries = self.boot_counting_tries();
        (tries > 0).then_some(BootCount { left: tries, done: 0 })
    }

    /// Who counts here.
    ///
    /// # Errors
    /// As for reading the boot loader's configuration.
    pub fn boot_counting(&self) -> Result<BootCounting> {
        if initramfs::InitramfsCounter::find(self)?.is_some() {
            return Ok(BootCounting::Initramfs);
        }
        Ok(match self.boot_loader()? {
            None => BootCounting::Entries,
            Some(loader) if loader.is_grub() => {
                let counts = grub::GrubCounter::find(self, &loader)?.is_some_and(|c| c.is_used);
                if counts { BootCounting::GrubEnvironment } else { BootCounting::Nobody }
            }
            Some(BootLoader::Uboot) if uboot::UbootCounter::find(self)?.is_some() => {
                BootCounting::UbootEnvironment
            }
            Some(BootLoader::Aboot) if slots::SlotCounter::find(self)?.is_some() => {
                BootCounting::AndroidSlots
            }
            Some(_) => BootCounting::Nobody,
        })
    }

    /// The counter of a deployment, of whoever counts. `None`: it is good, or not counted.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the boot loader does not offer it; [`Kind::Invalid`] for a damaged
    /// environment.
    pub fn boot_count(&self, id: &DeploymentId) -> Result<Option<BootCount>> {
        let list = self.deployments()?;
        let at = list.iter().position(|one| one.id == *id).ok_or_else(|| {
            Error::other(Kind::NotFound, format!("find the counter of deployment {id}"))
        })?;
        let named = list.get(at).and_then(|one| one.boot_count);
        // A good default is counted as well, from an interrupted switch on until somebody ends it.
        let bad = BootVerdict::of(named) == BootVerdict::Bad;
        match self.default_counter()? {
            Some(counter) if at == 0 && !bad => Ok(counter.count()?.or(named)),
            _ => Ok(named),
        }
    }

    /// How often a deployment may still be tried. `None`: it is good, or not counted.
    ///
    /// # Errors
    /// As [`Sysroot::boot_count`].
    pub fn tries_left(&self, id: &DeploymentId) -> Result<Option<u32>> {
        Ok(self.boot_count(id)?.map(|count| count.left))
    }

    /// Whether a deployment was tried in vain as often as it may be, or was marked bad. While it
    /// is being tried for the last time, this is so as well.
    ///
    /// # Errors
    /// As [`Sysroot::boot_count`].
    pub fn is_bad(&self, id: &DeploymentId) -> Result<bool> {
        Ok(BootVerdict::of(self.boot_count(id)?) == BootVerdict::Bad)
    }

    /// What the boot loader would boot now: the first of those that are not bad, or the first of
    /// all. One that nobody counts for boots the first whatever it is.
    ///
    /// # Errors
    /// As [`Sysroot::boot_count`].
    pub fn next_boot(&self) -> Result<Option<DeploymentId>> {
        let list = self.deployments()?;
        let first = list.first().map(|one| one.id.clone());
        if self.boot_counting()? == BootCounting::Nobody {
            return Ok(first);
        }
        for one in &list {
            if !self.is_bad(&one.id)? {
                return Ok(Some(one.id.clone()));
            }
        }
        Ok(first)
    }

    pub(crate) fn default_counter(&self) -> Result<Option<Box<dyn DefaultCounter>>> {
        if let Some(counter) = initramfs::InitramfsCounter::find(self)? {
            return Ok(Some(Box::new(counter)));
        }
        Ok(match self.boot_loader()? {
            Some(loader) if loader.is_grub() => grub::GrubCounter::find(self, &loader)?
                .map(|counter| Box::new(counter) as Box<dyn DefaultCounter>),
            Some(BootLoader::Uboot) => uboot::UbootCounter::find(self)?
                .map(|counter| Box::new(counter) as Box<dyn DefaultCounter>),
            Some(BootLoader::Aboot) => slots::SlotCounter::find(self)?
                .map(|counter| Box::new(counter) as Box<dyn DefaultCounter>),
            _ => None,
        })
    }
}

impl Locked<'_> {
    /// The deployment works: it is counted no more. Says whether it was until now.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the boot loader does not offer it; [`Error::Fs`].
    pub fn mark_good(&self, id: &DeploymentId) -> Result<bool> {
        self.settle(id, BootVerdict::Good)
    }

    /// The deployment does not work: no tries are left for it, and the boot loader offers it last.
    /// Says whether it was not so until now.
    ///
    /// # Errors
    /// As [`Locked::mark_good`].
    pub fn mark_bad(&self, id: &DeploymentId) -> Result<bool> {
        self.settle(id, BootVerdict::Bad)
    }

    fn settle(&self, id: &DeploymentId, verdict: BootVerdict) -> Result<bool> {
        let sysroot = self.sysroot;
        let list = sysroot.deployments()?;
        let at = list.iter().position(|one| one.id == *id).ok_or_else(|| {
            Error::other(Kind::NotFound, format!("find deployment {id} to mark it"))
        })?;
        let mut changed = false;
        if at == 0
            && let Some(counter) = sysroot.default_counter()?
        {
            let before = counter.count()?;
            if before.is_some() || verdict == BootVerdict::Bad {
                counter.settle(verdict)?;
                changed = counter.count()? != before;
            }
        }
        for folder in sysroot.entry_folders()? {
            changed |= self.settle_in(&folder, id, verdict)?;
        }
        if changed {
            self.flush()?;
        }
        Ok(changed)
    }

    fn settle_in(&self, folder: &Dir, id: &DeploymentId, verdict: BootVerdict) -> Result<bool> {
        let on_esp = self.sysroot.esp()?.is_some();
        let mut changed = false;
        for (name, entry) in offered(folder)? {
            let named = self.sysroot.load_entry(&name, &entry)?;
            let Ok(old) = name.parse::<CountedName>() else { continue };
            if named.id == *id && BootVerdict::of(old.count) != verdict {
                let new = renamed(&old, verdict).to_string();
                // Commit point: a name that no other entry has.
                match (on_esp, EntryName::is_our_image(&name)) {
                    (false, _) => folder.rename(&name, folder, new)?,
                    (true, false) => rename_entry(folder, &name, &new)?,
                    (true, true) => rename_to_new(folder, &name, &new)?,
                }
                changed = true;
            }
        }
        if changed {
            folder.sync()?;
        }
        Ok(changed)
    }

    /// The list with what a counter beside the entries knows: a default that it gave up is bad.
    /// Bad ones come last, for such a counter falls back to the second entry whatever it is.
    pub(crate) fn with_verdicts(
        &self,
        current: &[Deployment],
        list: &[Deployment],
    ) -> Result<Vec<Deployment>> {
        let mut list = list.to_vec();
        if let Some(default) = current.first()
            && BootVerdict::of(default.boot_count) == BootVerdict::Undecided
            && let Some(counter) = self.sysroot.default_counter()?
            && let Some(BootCount { left: 0, done }) = counter.count()?
            && let Some(one) = list.iter_mut().skip(1).find(|one| one.id == default.id)
        {
            one.boot_count = Some(BootCount { left: 0, done: done.max(1) });
        }
        if let Some(others) = list.get_mut(1..) {
            others.sort_by_key(Deployment::is_bad);
        }
        Ok(list)
    }

    /// Before the switch to `list`: a default that is on trial is counted from its first try on.
    /// Where the predecessor of a good one is on trial or given up, the counter stands at one try
    /// across the switch: before it the predecessor may be tried once more, after it the first
    /// entry is the right one; "take the second" would be wrong on one side.
    pub(crate) fn arm_counter(&self, current: &[Deployment], list: &[Deployment]) -> Result<()> {
        let (Some(new), old) = (list.first(), current.first()) else { return Ok(()) };
        let Some(counter) = self.sysroot.default_counter()? else { return Ok(()) };
        if old.is_some_and(|old| old.id == new.id) {
            return Ok(());
        }
        match new.boot_count {
            Some(count) if count.left > 0 => counter.arm(&new.id, count.left),
            None if counter.is_about_one_deployment() => Ok(()),
            None if counter.count()?.is_some() => counter.arm(&new.id, 1),
            _ => Ok(()),
        }
    }

    /// After the switch to `list`: a default that is good is not counted.
    pub(crate) fn disarm_counter(&self, list: &[Deployment]) -> Result<()> {
        let good = list.first().is_some_and(|first| first.boot_count.is_none());
        if good
            && let Some(counter) = self.sysroot.default_counter()?
            && counter.count()?.is_some()
        {
            counter.settle(BootVerdict::Good)?;
        }
        Ok(())
    }
}

/// The name of an entry once a verdict is known. A bad one was tried at least once: libostree
/// would take `+0` for no counter.
fn renamed(old: &CountedName, verdict: BootVerdict) -> CountedName {
    if verdict == BootVerdict::Good {
        return old.blessed();
    }
    let done = old.count.map_or(1, |count| count.done.max(1));
    old.clone().counted(Some(BootCount { left: 0, done }))
}

/// The counter of a deployment that somebody wants to boot: one that was found bad gets its tries
/// again.
pub(crate) fn tried_anew(count: Option<BootCount>, fresh: Option<BootCount>) -> Option<BootCount> {
    if BootVerdict::of(count) == BootVerdict::Bad { fresh } else { count }
}

/// Writes over a part of a file, for readers that cannot follow a rename. One that is cut off may
/// leave it torn.
pub(crate) fn write_in_place(
    dir: &Dir,
    name: &std::path::Path,
    offset: u64,
    bytes: &[u8],
) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let path = dir.path().join(name);
    let file = dir.open_or_create(name, 0o600)?;
    updraft_fs::fault::check()
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all_at(bytes, offset))
        .and_then(|()| file.sync_data())
        .map_err(|source| Error::Fs(updraft_fs::Error::new("write", path, source)))
}
