//! Entries and kernels on a file system without links: an EFI system partition, or `/boot` on FAT,
//! as systemd-boot reads it. libostree's scheme, in which one link switches between two folders of
//! entries, is not possible there.
//!
//! ```text
//! /ostree/OS-BOOTCSUM/{vmlinuz-K, initramfs-K.img}
//! /loader/entries/ostree-N[+LEFT[-DONE]].conf        the highest N is the default
//! ```
//! Every name is used once: FAT has no rename that replaces a file in one step, but a new name
//! either is there or is not. The order of a change is
//!
//! 1. boot links on the root file system, those of before and those to come; a deployment keeps
//!    its link as long as it is offered, so old and new entries hold at the same time;
//! 2. kernels, each file under its name only when it is complete and durable;
//! 3. **the commit point**: the rename that gives the new default's entry a number above all;
//! 4. the entries of the others, with numbers between;
//! 5. the old entries go, and then, as clean-up, what only they needed.
//!
//! A power cut before 3 leaves the old list. After it the new default is booted, and the others
//! are offered at least once. Reading takes the first entry of each deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use updraft_bootenv::{CountedName, EntryName};
use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, space};

use crate::boot_loader::offered;
use crate::boot_tree::BootTree;
use crate::entries::{Place, entry};
use crate::{
    BootVersion, Deployment, DeploymentId, Error, Locked, Result, Switch, Sysroot, Written, copy,
};

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
        let wanted = configured.as_deref() == Some("systemd-boot");
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

    /// The deployments that the entries there offer, the first entry of each.
    pub(crate) fn esp_deployments(&self, esp: &Dir) -> Result<Vec<Deployment>> {
        let Some(entries) = esp.try_open_dir("loader/entries")? else { return Ok(Vec::new()) };
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for (name, entry) in offered(&entries)? {
            let deployment = self.load_entry(&name, &entry)?;
            if seen.insert(deployment.id.clone()) {
                list.push(deployment);
            }
        }
        Ok(list)
    }
}

impl Locked<'_> {
    /// Removes what an interrupted change left: entries of a deployment after its first one, and
    /// files that did not get their name.
    pub(crate) fn remove_esp_leftovers(&self) -> Result<()> {
        let Some(esp) = self.sysroot.esp()? else { return Ok(()) };
        let Some(entries) = esp.try_open_dir("loader/entries")? else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for (name, entry) in offered(&entries)? {
            let deployment = self.sysroot.load_entry(&name, &entry)?;
            if !seen.insert(deployment.id) {
                entries.unlink(&name)?;
            }
        }
        for item in entries.sorted_entries()? {
            let name = item.name.to_string_lossy().into_owned();
            if name.strip_suffix(".new").is_some_and(EntryName::is_ours) {
                entries.unlink(&name)?;
            }
        }
        entries.sync()?;
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
        let entries = esp.ensure_dir("loader", 0o755)?.ensure_dir("entries", 0o755)?;
        let names = our_names(&entries)?;
        let same = current.len() == list.len()
            && names.len() == list.len()
            && current.iter().zip(list).all(|(old, new)| old.id == new.id && old.boots_like(new));
        if same {
            let switch = Switch::Nothing;
            return Ok(Written { switch, version: now, count_change, is_atomic: true });
        }
        let list = with_lasting_serials(current, list);
        let mut linked = list.clone();
        let gone = |old: &&Deployment| !list.iter().any(|new| new.id == old.id);
        linked.extend(current.iter().filter(gone).cloned());
        let subversion = self.write_boot_links(0, &linked)?;
        self.flush()?;
        self.switch_boot_links(0, subversion)?;

        let boots = list.iter().map(|one| self.boot(one)).collect::<Result<Vec<_>>>()?;
        if !has_room(esp, &boots)? {
            self.make_room(esp, &entries, current, &list)?;
            if !has_room(esp, &boots)? {
                let message = format!("{}: not enough room for the kernel", esp.path().display());
                return Err(Error::other(Kind::Exhausted, message));
            }
        }
        for boot in &boots {
            install_kernel(esp, boot)?;
        }
        self.flush()?;
        self.write_numbered(&entries, &list, &boots)?;
        self.flush()?;
        self.touch_deployments()?;
        let version = BootVersion { version: 0, subversion };
        Ok(Written { switch: Switch::Entries, version, count_change, is_atomic: true })
    }

    /// Steps 3 to 5.
    fn write_numbered(&self, entries: &Dir, list: &[Deployment], boots: &[Boot]) -> Result<()> {
        let old = our_names(entries)?;
        let highest = old.iter().map(|(_, number)| *number).max().unwrap_or(0);
        let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let several =
            list.iter().any(|one| list.first().map(|f| &f.id.stateroot) != Some(&one.id.stateroot));
        let mut number = highest.saturating_add(length);
        for (index, (deployment, boot)) in list.iter().zip(boots).enumerate() {
            // The place in the list changes, the number does not: it is what people see.
            let title_number = usize::try_from(number).unwrap_or(usize::MAX);
            let place = Place { version: 0, index: title_number, number, several };
            let entry = entry(deployment, &boot.root, &boot.tree, &boot.kernels, &place)
                .map_err(|source| Error::Entry { path: entries.path().to_path_buf(), source })?;
            let stem = EntryName { number, stateroot: None }.stem();
            let name = CountedName::with_count(stem, deployment.boot_count).to_string();
            // Commit point for the first: the rename within.
            put_new(entries, &name, &entry.encode())?;
            if index == 0 {
                self.flush()?;
            }
            number = number.saturating_sub(1);
        }
        entries.sync()?;
        self.flush()?;
        for (name, _) in &old {
            entries.unlink(name)?;
        }
        entries.sync()?;
        Ok(())
    }

    /// Before the kernels of a new deployment are copied, those go that the new list needs no
    /// more; what stays is offered alone meanwhile.
    fn make_room(
        &self,
        esp: &Dir,
        entries: &Dir,
        current: &[Deployment],
        list: &[Deployment],
    ) -> Result<()> {
        let stays: Vec<Deployment> =
            current.iter().filter(|old| list.iter().any(|new| new.id == old.id)).cloned().collect();
        if stays.is_empty() {
            return Ok(());
        }
        let boots = stays.iter().map(|one| self.boot(one)).collect::<Result<Vec<_>>>()?;
        if stays.len() < current.len() {
            self.write_numbered(entries, &stays, &boots)?;
            self.flush()?;
        }
        let used: BTreeSet<&str> = boots.iter().map(|boot| boot.kernels.as_str()).collect();
        let Some(kernels) = esp.try_open_dir("ostree")? else { return Ok(()) };
        for folder in kernels.sorted_entries()? {
            let name = folder.name.to_string_lossy().into_owned();
            if crate::cleanup::is_kernel_folder(&name) && !used.contains(name.as_str()) {
                copy::remove(&kernels, Path::new(&name))?;
            }
        }
        esp.syncfs()?;
        Ok(())
    }

    fn boot(&self, deployment: &Deployment) -> Result<Boot> {
        let root = self.sysroot.root.open_dir(deployment.id.path())?;
        let tree = BootTree::find(&root, &self.sysroot.options)?;
        let kernels = format!("{}-{}", deployment.id.stateroot, deployment.boot_checksum);
        Ok(Boot { root, tree, kernels })
    }
}

/// What a deployment needs there.
struct Boot {
    root: Dir,
    tree: BootTree,
    /// `OS-BOOTCSUM`.
    kernels: String,
}

/// The names of our entries with their numbers.
fn our_names(entries: &Dir) -> Result<Vec<(String, u32)>> {
    let mut names = Vec::new();
    for item in entries.sorted_entries()? {
        let name = item.name.to_string_lossy().into_owned();
        if EntryName::is_ours(&name) {
            let digits: String =
                name["ostree-".len()..].chars().take_while(char::is_ascii_digit).collect();
            names.push((name, digits.parse().unwrap_or(0)));
        }
    }
    Ok(names)
}

/// Numbers those that share a kernel so that a deployment keeps its number while it is offered,
/// and a new one takes none that is in use.
fn with_lasting_serials(current: &[Deployment], list: &[Deployment]) -> Vec<Deployment> {
    let key = |one: &Deployment| (one.id.stateroot.clone(), one.boot_checksum.clone());
    let mut used: BTreeMap<(String, String), BTreeSet<u32>> = BTreeMap::new();
    let known: BTreeMap<&DeploymentId, &Deployment> =
        current.iter().map(|one| (&one.id, one)).collect();
    for one in current {
        used.entry(key(one)).or_default().insert(one.boot_serial);
    }
    let mut list = list.to_vec();
    for one in &mut list {
        let old = known.get(&one.id).filter(|old| old.boot_checksum == one.boot_checksum);
        if let Some(old) = old {
            one.boot_serial = old.boot_serial;
            continue;
        }
        let taken = used.entry(key(one)).or_default();
        let free = (0..u32::MAX).find(|serial| !taken.contains(serial)).unwrap_or(u32::MAX);
        taken.insert(free);
        one.boot_serial = free;
    }
    list
}

fn is_fat(dir: &Dir) -> Result<bool> {
    let found = rustix::fs::fstatfs(dir)
        .map_err(|errno| updraft_fs::Error::new("look at", dir.path(), errno.into()))?;
    Ok(u64::try_from(found.f_type).is_ok_and(|kind| kind == FAT))
}

fn has_room(esp: &Dir, boots: &[Boot]) -> Result<bool> {
    let mut needed: u64 = 0;
    let mut counted = BTreeSet::new();
    for boot in boots.iter().filter(|boot| counted.insert(boot.kernels.clone())) {
        let there = esp.try_open_dir(format!("ostree/{}", boot.kernels))?;
        for file in boot.tree.files() {
            if there.as_ref().map(|there| there.exists(&file.name)).transpose()? != Some(true) {
                needed = needed.saturating_add(size(&boot.tree.folder, &file.source)?);
            }
        }
    }
    Ok(needed == 0 || needed.saturating_add(SPARE) <= space::of(esp)?.available)
}

fn size(folder: &Dir, path: &Path) -> Result<u64> {
    let metadata = folder.metadata(path)?;
    if metadata.kind != FileKind::Directory {
        return Ok(metadata.size);
    }
    let folder = folder.open_dir(path)?;
    let mut sum: u64 = 0;
    for entry in folder.sorted_entries()? {
        sum = sum.saturating_add(size(&folder, Path::new(&entry.name))?);
    }
    Ok(sum)
}

/// Copies what is not there yet. The folder's name is a hash of the content, so what has its name
/// is right.
fn install_kernel(esp: &Dir, boot: &Boot) -> Result<()> {
    let target = esp.ensure_dir("ostree", 0o755)?.ensure_dir(&boot.kernels, 0o755)?;
    for file in boot.tree.files() {
        if target.exists(&file.name)? {
            continue;
        }
        let temporary = format!("{}.new", file.name);
        copy::remove(&target, Path::new(&temporary))?;
        copy_content(&boot.tree.folder, &file.source, &target, Path::new(&temporary))?;
        target.rename(&temporary, &target, &file.name)?;
    }
    target.sync()?;
    Ok(())
}

/// Content alone: owners, modes and links are not for FAT.
fn copy_content(source: &Dir, name: &Path, target: &Dir, new: &Path) -> Result<()> {
    if source.metadata(name)?.kind == FileKind::Directory {
        let (from, to) = (source.open_dir(name)?, target.ensure_dir(new, 0o755)?);
        for entry in from.sorted_entries()? {
            copy_content(&from, Path::new(&entry.name), &to, Path::new(&entry.name))?;
        }
        to.sync()?;
        return Ok(());
    }
    let from = source.open_file(name)?;
    let to = target.create_file(new, 0o644)?;
    updraft_fs::copy::contents(&from, &to)
        .and_then(|_| to.sync_data())
        .map_err(|source| Error::Copy { path: target.path().join(new), source })
}

/// Writes a file under a name that is not in use, whole and durable before it has that name.
pub(crate) fn put_new(dir: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{name}.new");
    copy::remove(dir, Path::new(&temporary))?;
    let mut file = dir.create_file(&temporary, 0o644)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_data())
        .map_err(|source| Error::Copy { path: dir.path().join(&temporary), source })?;
    drop(file);
    dir.rename(&temporary, dir, name)?;
    dir.sync()?;
    Ok(())
}
