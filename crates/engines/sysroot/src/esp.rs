//! Entries and kernels on a file system without links: an EFI system partition, or `/boot` on FAT,
//! as systemd-boot reads it. libostree's scheme, in which one link switches between two folders of
//! entries, is not possible there.
//!
//! ```text
//! /ostree/OS-BOOTCSUM/{vmlinuz-K, initramfs-K.img}
//! /loader/entries/ostree-N[+LEFT[-DONE]].conf        the highest N is the default
//! /EFI/Linux/ostree-N[+LEFT[-DONE]].efi              the same, as a unified kernel image
//! ```
//! Every name is used once: FAT has no rename that replaces a file in one step, but a new name
//! either is there or is not. The order of a change is
//!
//! 1. boot links on the root file system, those of before and those to come; a deployment keeps
//!    its link as long as it is offered, so old and new entries hold at the same time;
//! 2. kernels, each file under its name only when it is complete and durable;
//! 3. **the commit point**: the rename that gives the new default's entry a number above all
//!    (`names.rs` says what a rename is on FAT);
//! 4. the entries of the others, with numbers between;
//! 5. the old entries go, and then, as clean-up, what only they needed.
//!
//! A power cut before 3 leaves the old list. After it the new default is booted, and the others
//! are offered at least once. Reading takes the first entry of each deployment.
//!
//! Images are large. One that is there and right keeps its number, or gets another by a rename, as
//! a boot loader renames it for each try.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use updraft_bootenv::EntryName;
use updraft_error::Kind as ErrorKind;
use updraft_fs::{Dir, FileKind, space};

use crate::unified_image::ImageSigner;
use crate::{BootVersion, Deployment, Error, Locked, Result, Switch, Sysroot, Written};

mod boot;
mod kernels;
mod names;
mod offers;

use boot::{Boot, kept_images};
pub(crate) use names::{
    is_without_content, make_durable, put_new, remove, rename_entry, rename_to_new,
};
pub(crate) use offers::Kind;
use offers::{Offer, numbers, with_lasting_serials};

/// Where such a file system is mounted, below the root.
const PLACES: [&str; 3] = ["boot", "boot/efi", "efi"];
/// `MSDOS_SUPER_MAGIC`, of all kinds of FAT.
const FAT: u64 = 0x4d44;
/// Room for entries and for what the file system needs for itself.
const SPARE: u64 = 1024 * 1024;

impl Sysroot {
    /// The file system without links that the boot loader reads, where that is the case.
    pub(crate) fn esp(&self) -> Result<Option<Dir>> {
        let configured = self.configured_boot_loader();
        let wanted = matches!(configured.as_deref(), Some("systemd-boot" | "uki"));
        if !wanted && !matches!(configured.as_deref(), None | Some("auto")) {
            return Ok(None);
        }
        let kind = |path: &str| -> Result<Option<FileKind>> {
            Ok(self.root.try_metadata(path)?.map(|found| found.kind))
        };
        if self.root.try_open_dir("boot")?.is_some()
            && kind("boot/loader")? == Some(FileKind::Symlink)
        {
            return Ok(None);
        }
        for place in PLACES {
            let Some(dir) = self.root.try_open_dir(place)? else { continue };
            let is_boot = place == "boot";
            let has_loader = match dir.try_metadata("loader")?.map(|found| found.kind) {
                Some(FileKind::Directory) => is_boot || dir.exists("loader/loader.conf")?,
                _ => false,
            };
            let has_efi = dir.try_open_dir("EFI")?.is_some();
            let installed = has_efi && dir.try_open_dir("EFI/systemd")?.is_some();
            let is_it = has_loader || installed || (is_boot && is_fat(&dir)?);
            if is_it || (wanted && !is_boot && has_efi) {
                return Ok(Some(dir));
            }
        }
        Ok(None)
    }

    /// Where kernels are.
    pub(crate) fn kernels_dir(&self) -> Result<Option<Dir>> {
        match self.esp()? {
            Some(esp) => Ok(Some(esp)),
            None => self.boot_dir(),
        }
    }

    /// The deployments that are offered there, by the first entry of each.
    pub(crate) fn esp_deployments(&self, esp: &Dir) -> Result<Vec<Deployment>> {
        let mut seen = BTreeSet::new();
        let offers = self.esp_offers(esp)?.into_iter().map(|offer| offer.deployment);
        Ok(offers.filter(|one| seen.insert(one.id.clone())).collect())
    }

    /// The folders of kernels that entries name.
    pub(crate) fn esp_kernel_folders(&self, esp: &Dir) -> Result<BTreeSet<String>> {
        let mut used = BTreeSet::new();
        for offer in self.esp_offers(esp)?.iter().filter(|offer| offer.kind == Kind::Entry) {
            let kernel = offer.entry.get("linux").or_else(|| offer.entry.get("efi"));
            let folder = kernel.and_then(|path| path.strip_prefix("/ostree/")?.split('/').next());
            used.extend(folder.map(str::to_owned));
        }
        Ok(used)
    }
}

/// The folders in which something of ours may be offered.
pub(crate) fn folders(esp: &Dir) -> Result<Vec<Dir>> {
    let found = Kind::ALL.iter().map(|kind| esp.try_open_dir(kind.folder()));
    Ok(found.collect::<updraft_fs::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

impl Locked<'_> {
    /// Removes what an interrupted change left: entries of a deployment after its first one, files
    /// that did not get their name, and names that did not get their content.
    pub(crate) fn remove_esp_leftovers(&self) -> Result<()> {
        let Some(esp) = self.sysroot.esp()? else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for offer in self.sysroot.esp_offers(&esp)? {
            if !seen.insert(offer.deployment.id) {
                remove(&offers::open(&esp, offer.kind)?, Path::new(&offer.name))?;
            }
        }
        for folder in folders(&esp)? {
            for item in folder.sorted_entries()? {
                let name = item.name.to_string_lossy().into_owned();
                let ours = |name: &str| EntryName::is_ours(name) || EntryName::is_our_image(name);
                if name.strip_suffix(".new").is_some_and(ours)
                    || (ours(&name) && is_without_content(&folder, &name)?)
                {
                    remove(&folder, Path::new(&name))?;
                }
            }
            folder.sync()?;
        }
        Ok(())
    }

    /// Makes these deployments the ones that are offered; the module says in which steps.
    pub(crate) fn write_esp(
        &self,
        esp: &Dir,
        current: &[Deployment],
        list: &[Deployment],
    ) -> Result<Written> {
        let sysroot = self.sysroot;
        let now = sysroot.boot_version()?;
        let count = |list: &[Deployment]| i64::try_from(list.len()).unwrap_or(i64::MAX);
        let count_change = count(list).saturating_sub(count(current));
        let offers = sysroot.esp_offers(esp)?;
        let list = with_lasting_serials(current, list);
        let boots = list.iter().map(|one| self.boot(one)).collect::<Result<Vec<_>>>()?;
        let signer = self.signer(esp, &offers, &list, &boots)?;
        let kept = kept_images(esp, &offers, &list, &boots, signer.as_ref())?;
        let same = offers.len() == list.len()
            && offers.iter().zip(&list).zip(boots.iter().zip(&kept)).all(
                |((offer, new), (boot, kept))| {
                    let old = &offer.deployment;
                    let is_right = boot.kind() == Kind::Entry || kept.is_some();
                    old.id == new.id && old.boots_like(new) && offer.kind == boot.kind() && is_right
                },
            );
        if same {
            let switch = Switch::Nothing;
            return Ok(Written { switch, version: now, count_change, is_atomic: true });
        }
        let mut linked = list.clone();
        let gone = |old: &&Deployment| !list.iter().any(|new| new.id == old.id);
        linked.extend(current.iter().filter(gone).cloned());
        let subversion = self.write_boot_links(0, &linked)?;
        self.flush()?;
        self.switch_boot_links(0, subversion)?;

        if !self.has_room(esp, &offers, &list, &boots, signer.as_ref())? {
            self.make_room(esp, current, &list)?;
            let offers = sysroot.esp_offers(esp)?;
            if !self.has_room(esp, &offers, &list, &boots, signer.as_ref())? {
                let message = format!("{}: not enough room for the kernel", esp.path().display());
                return Err(Error::other(ErrorKind::Exhausted, message));
            }
        }
        for boot in boots.iter().filter(|boot| boot.kind() == Kind::Entry) {
            kernels::install(esp, boot)?;
        }
        self.flush()?;
        self.write_numbered(esp, &list, &boots, signer.as_ref())?;
        self.flush()?;
        self.touch_deployments()?;
        let version = BootVersion { version: 0, subversion };
        Ok(Written { switch: Switch::Entries, version, count_change, is_atomic: true })
    }

    /// Steps 3 to 5.
    fn write_numbered(
        &self,
        esp: &Dir,
        list: &[Deployment],
        boots: &[Boot],
        signer: Option<&ImageSigner>,
    ) -> Result<()> {
        let old = self.sysroot.esp_offers(esp)?;
        let kept = kept_images(esp, &old, list, boots, signer)?;
        let used = old.iter().map(|offer| offer.number).collect();
        let kept_numbers: Vec<Option<u32>> =
            kept.iter().map(|offer| offer.map(|offer| offer.number)).collect();
        let several =
            list.iter().any(|one| list.first().map(|f| &f.id.stateroot) != Some(&one.id.stateroot));
        let new = list.iter().zip(boots).zip(&kept).zip(numbers(&kept_numbers, &used));
        for (index, (((deployment, boot), kept), number)) in new.enumerate() {
            let kind = boot.kind();
            let folder = offers::open(esp, kind)?;
            let name = kind.file_name(number, deployment);
            // Commit point for the first: the rename, here or within.
            match (kept, kind) {
                (Some(offer), _) if offer.name == name => {}
                (Some(offer), _) => {
                    rename_to_new(&folder, &offer.name, &name)?;
                }
                (None, Kind::Image) => {
                    self.assemble_image(esp, &boot.root, &boot.tree, deployment)?
                        .write(&folder, &name, signer)?;
                }
                (None, Kind::Entry) => {
                    put_new(&folder, &name, &boot.entry(deployment, number, several, &folder)?)?;
                }
            }
            if index == 0 {
                self.flush()?;
            }
        }
        self.flush()?;
        for offer in &old {
            if !kept.iter().flatten().any(|kept| std::ptr::eq(*kept, offer)) {
                remove(&offers::open(esp, offer.kind)?, Path::new(&offer.name))?;
            }
        }
        for folder in folders(esp)? {
            folder.sync()?;
        }
        Ok(())
    }

    /// Before the kernels of a new deployment are copied, those go that the new list needs no
    /// more; what stays is offered alone meanwhile.
    fn make_room(&self, esp: &Dir, current: &[Deployment], list: &[Deployment]) -> Result<()> {
        let stays: Vec<Deployment> =
            current.iter().filter(|old| list.iter().any(|new| new.id == old.id)).cloned().collect();
        if stays.is_empty() {
            return Ok(());
        }
        let boots = stays.iter().map(|one| self.boot(one)).collect::<Result<Vec<_>>>()?;
        if stays.len() < current.len() {
            self.write_numbered(esp, &stays, &boots, None)?;
            self.flush()?;
        }
        let used = self.sysroot.esp_kernel_folders(esp)?;
        let Some(kernels) = esp.try_open_dir("ostree")? else { return Ok(()) };
        for folder in kernels.sorted_entries()? {
            let name = folder.name.to_string_lossy().into_owned();
            if crate::cleanup::is_kernel_folder(&name) && !used.contains(&name) {
                remove(&kernels, Path::new(&name))?;
            }
        }
        esp.syncfs()?;
        Ok(())
    }

    fn has_room(
        &self,
        esp: &Dir,
        offers: &[Offer],
        list: &[Deployment],
        boots: &[Boot],
        signer: Option<&ImageSigner>,
    ) -> Result<bool> {
        let kept = kept_images(esp, offers, list, boots, signer)?;
        let signature = signer.map_or(0, ImageSigner::longest);
        let mut needed: BTreeMap<String, u64> = BTreeMap::new();
        for ((deployment, boot), kept) in list.iter().zip(boots).zip(kept) {
            match boot.kind() {
                Kind::Entry => {
                    needed.insert(boot.kernels.clone(), kernels::missing(esp, boot)?);
                }
                Kind::Image if kept.is_none() => {
                    let image = self.assemble_image(esp, &boot.root, &boot.tree, deployment)?;
                    let size = image.size().saturating_add(signature);
                    needed.insert(deployment.id.to_string(), size);
                }
                Kind::Image => {}
            }
        }
        let needed = needed.values().fold(0_u64, |sum, one| sum.saturating_add(*one));
        Ok(needed == 0 || needed.saturating_add(SPARE) <= space::of(esp)?.available)
    }
}

fn is_fat(dir: &Dir) -> Result<bool> {
    let found = rustix::fs::fstatfs(dir)
        .map_err(|errno| updraft_fs::Error::new("look at", dir.path(), errno.into()))?;
    Ok(u64::try_from(found.f_type).is_ok_and(|kind| kind == FAT))
}
