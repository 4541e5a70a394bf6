//! Two slots of Android's boot loader, without a program from elsewhere:
//!
//! ```ini
//! [updraft]
//! bootloader=aboot
//! android-boot=/dev/disk/by-partlabel/boot       (boot_a and boot_b)
//! android-misc=/dev/disk/by-partlabel/misc
//! ```
//! The default deployment's image goes into the partition of the slot that does not run, and
//! `/ostree/root.a` or `root.b` leads to the deployment; `androidboot.slot_suffix` on the kernel
//! command line says which of the two is followed. Steps, each of which can be repeated:
//!
//! 1. the slot is never to be started; what runs is what is started until 4;
//! 2. its image is written;
//! 3. its link is replaced, in one step;
//! 4. **the commit point**: the slot is the one to be started, so often as it may be tried.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use updraft_bootenv::{AndroidSlot, BootEntry, BootVerdict, KernelArgs, SlotControl};
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_symlink};

use super::{BootLoader, offered};
use crate::boot_count::write_in_place;
use crate::{Deployment, Error, Locked, Result, Sysroot};

const MAX_CMDLINE: u64 = 64 * 1024;
const BUFFER: usize = 128 * 1024;

/// The slots of a device.
pub(crate) struct Slots {
    boot: String,
    misc: PathBuf,
    running: Option<AndroidSlot>,
}

impl Slots {
    /// `None`: nothing is said of them, and a program installs.
    pub(crate) fn find(sysroot: &Sysroot) -> Result<Option<Self>> {
        let config = sysroot.repo.config();
        let key = |key: &str| config.key_file().get("updraft", key);
        let Some(boot) = key("android-boot") else { return Ok(None) };
        if sysroot.boot_loader()? != Some(BootLoader::Aboot) {
            return Ok(None);
        }
        let misc = key("android-misc").map(PathBuf::from).ok_or_else(|| {
            Error::other(Kind::Invalid, "android-boot= needs android-misc= beside it")
        })?;
        let running = Dir::open(&sysroot.options.running_root)?;
        let cmdline = running.try_read("proc/cmdline", MAX_CMDLINE)?.unwrap_or_default();
        let arguments = KernelArgs::parse(&String::from_utf8_lossy(&cmdline));
        let running =
            arguments.last_value("androidboot.slot_suffix").and_then(AndroidSlot::of_suffix);
        Ok(Some(Self { boot, misc, running }))
    }

    /// Before the switch: whether the image of this entry can be installed afterwards.
    pub(super) fn check(&self, boot: &Dir, entry: &BootEntry) -> Result<()> {
        self.control()?;
        let size = image_of(boot, entry)?.metadata().map(|image| image.len());
        for slot in [AndroidSlot::A, AndroidSlot::B] {
            let path = self.partition(slot);
            let failed = |source| Error::Copy { path: path.clone(), source };
            let size = *size.as_ref().map_err(|_| no_image())?;
            let room = File::open(&path).and_then(|mut it| it.seek(SeekFrom::End(0)));
            let room = room.map_err(failed)?;
            if size > room {
                let path = path.display();
                let message = format!("{path}: {size} bytes do not fit into {room}");
                return Err(Error::other(Kind::Exhausted, message));
            }
        }
        Ok(())
    }

    /// What the boot loader knows of them.
    pub(crate) fn control(&self) -> Result<SlotControl> {
        let failed = |source| Error::Copy { path: self.misc.clone(), source };
        let mut file = File::open(&self.misc).map_err(failed)?;
        let mut bytes = [0; SlotControl::LEN];
        file.seek(SeekFrom::Start(SlotControl::OFFSET)).map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        SlotControl::parse(&bytes)
            .map_err(|source| Error::Entry { path: self.misc.clone(), source })
    }

    /// All of it lies within one sector.
    pub(crate) fn set_control(&self, control: &SlotControl) -> Result<()> {
        let (folder, name) = place_of(&self.misc)?;
        write_in_place(&folder, &name, SlotControl::OFFSET, &control.encode())
    }

    /// The slot that leads to a deployment.
    pub(crate) fn slot_of(
        &self,
        sysroot: &Sysroot,
        one: &Deployment,
    ) -> Result<Option<AndroidSlot>> {
        // Both may, when it was deployed again by what runs.
        let first = self.running.unwrap_or(AndroidSlot::A).other();
        for slot in [first, first.other()] {
            if link_of(sysroot, slot)? == Some(target(one)) {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    fn partition(&self, slot: AndroidSlot) -> PathBuf {
        format!("{}_{}", self.boot, slot.letter()).into()
    }

    fn write_image(&self, slot: AndroidSlot, image: &mut File) -> Result<()> {
        let path = self.partition(slot);
        let failed = |source| Error::Copy { path: path.clone(), source };
        let (folder, name) = place_of(&path)?;
        let mut partition = folder.open_or_create(&name, 0o600)?;
        updraft_fs::fault::check().map_err(|error| failed(error.into()))?;
        std::io::copy(image, &mut partition).map_err(failed)?;
        partition.flush().and_then(|()| partition.sync_data()).map_err(failed)
    }

    /// Whether the image is in the slot already.
    fn holds(&self, slot: AndroidSlot, image: &mut File) -> Result<bool> {
        let path = self.partition(slot);
        let failed = |source| Error::Copy { path: path.clone(), source };
        let mut partition = File::open(&path).map_err(failed)?;
        let same = same_content(image, &mut partition).map_err(failed)?;
        image.rewind().map_err(failed)?;
        Ok(same)
    }
}

impl Locked<'_> {
    /// Lets the boot loader start the default deployment.
    pub(crate) fn install_slot(&self, slots: &Slots) -> Result<()> {
        let sysroot = self.sysroot;
        let list = sysroot.deployments()?;
        let Some(default) = list.first() else { return Ok(()) };
        let mut image = self.image_of_default()?;
        let mut control = slots.control()?;
        let own = match slots.running {
            Some(slot) if link_of(sysroot, slot)? == Some(target(default)) => {
                slots.holds(slot, &mut image)?.then_some(slot)
            }
            _ => None,
        };
        let slot = own.unwrap_or(slots.running.map_or(AndroidSlot::A, AndroidSlot::other));
        let complete =
            link_of(sysroot, slot)? == Some(target(default)) && slots.holds(slot, &mut image)?;
        if !complete {
            control.disable(slot);
            slots.set_control(&control)?;
            slots.write_image(slot, &mut image)?;
            let name = format!("root.{}", slot.letter());
            atomic_symlink(&sysroot.ostree, name, target(default))?;
        }
        // What leads nowhere is never to be started.
        let other = slot.other();
        let leads = link_of(sysroot, other)?;
        if !leads.is_some_and(|leads| list.iter().any(|one| target(one) == leads)) {
            control.disable(other);
            sysroot.ostree.try_unlink(format!("root.{}", other.letter()))?;
        }
        let tries = match BootVerdict::of(default.boot_count) {
            BootVerdict::Good => None,
            _ => Some(default.boot_count.map_or(1, |count| count.left)),
        };
        control.activate(slot, tries);
        // Commit point: the one sector.
        slots.set_control(&control)
    }

    fn image_of_default(&self) -> Result<File> {
        let sysroot = self.sysroot;
        let folders = sysroot.entry_folders()?;
        let folder = folders.first().ok_or_else(no_image)?;
        let (_, entry) = offered(folder)?.into_iter().next().ok_or_else(no_image)?;
        image_of(&sysroot.root.open_dir("boot")?, &entry)
    }
}

fn image_of(boot: &Dir, entry: &BootEntry) -> Result<File> {
    let path = entry.get("aboot").ok_or_else(no_image)?;
    Ok(boot.open_file(path.trim_start_matches('/'))?)
}

fn no_image() -> Error {
    let message = "the default deployment has no image for Android's boot loader: ship aboot.img \
                   beside its kernel, or set android-header-version=";
    Error::other(Kind::Invalid, message)
}

/// What a link has to lead to, from `/ostree`.
fn target(one: &Deployment) -> PathBuf {
    let path = one.id.path();
    path.strip_prefix("ostree").unwrap_or(&path).to_path_buf()
}

fn link_of(sysroot: &Sysroot, slot: AndroidSlot) -> Result<Option<PathBuf>> {
    let name = format!("root.{}", slot.letter());
    if !sysroot.ostree.exists(&name)? {
        return Ok(None);
    }
    Ok(Some(sysroot.ostree.read_link(&name)?))
}

/// The folder and the name of a device; names of partitions are links to it.
fn place_of(path: &Path) -> Result<(Dir, PathBuf)> {
    let device =
        path.canonicalize().map_err(|source| Error::Copy { path: path.to_path_buf(), source })?;
    let folder = Dir::open(device.parent().unwrap_or(Path::new("/")))?;
    Ok((folder, device.file_name().unwrap_or_default().into()))
}

/// Whether the second begins with all of the first.
fn same_content(one: &mut File, other: &mut File) -> std::io::Result<bool> {
    let (mut left, mut right) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let size = one.read(&mut left)?;
        let (Some(left), Some(right)) = (left.get(..size), right.get_mut(..size)) else {
            return Ok(false);
        };
        if size == 0 {
            return Ok(true);
        }
        match other.read_exact(right) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            done => done?,
        }
        if left != right {
            return Ok(false);
        }
    }
}
