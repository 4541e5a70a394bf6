//! Process 1: the whole initramfs, or the init of a physical root without one.
//!
//! ```text
//! /proc /sys /dev /run → modules → wait for root= → mount it at /sysroot → the deployment's root
//!   → /boot when the system has nobody to mount it → switch → init
//! ```

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::FsWord;
use rustix::mount::MountFlags;

use crate::config::Fallback;
use crate::console::{self, complain, say};
use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::{KernelArguments, Target};
use crate::root_device::{self, DeviceName};
use crate::settings::Settings;
use crate::{
    fallback, last_resort, modules, mounts, superblock, switch_root, torn_commit, torn_superblock,
    verity, watchdog,
};

/// Where the physical root is mounted.
const SYSROOT: &str = "/sysroot";
/// Names one of two root file systems that are updated in turn.
const SLOT: &str = "updraft.slot";
/// `RAMFS_MAGIC` and `TMPFS_MAGIC`.
const INITRAMFS_MAGICS: [FsWord; 2] = [0x8584_58f6, 0x0102_1994];

/// Kinds of file system for which `root=` names something else than a block device, such as
/// `ubi0:root`, `mtd3` or a share of the host.
const WITHOUT_BLOCK_DEVICE: [&str; 4] = ["ubifs", "jffs2", "virtiofs", "9p"];

/// Runs as process 1; `words` are for the system's init. When it returns, the kernel panics, and
/// starts the machine again when `panic=` says so.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let mut arguments = KernelArguments::default();
    let mut wanted = Some(Fallback::Reboot);
    let Err(failure) = boot(words, &mut arguments, &mut wanted) else { return ExitCode::SUCCESS };
    last_resort::act(&failure, wanted, &arguments);
    ExitCode::FAILURE
}

fn boot(
    words: &[OsString],
    arguments: &mut KernelArguments,
    wanted: &mut Option<Fallback>,
) -> Result<()> {
    mount_virtual()?;
    let line = fs::read_to_string("/proc/cmdline").during(|| "read /proc/cmdline".to_owned())?;
    *arguments = KernelArguments::parse(&line);
    if arguments.contains("quiet") {
        console::be_quiet();
    }
    let settings = Settings::load(Path::new("/"), arguments);
    *wanted = settings.fallback.or(*wanted);
    let root = rustix::fs::statfs("/").during(|| "look at the root".to_owned())?;
    if INITRAMFS_MAGICS.contains(&root.f_type) {
        modules::load_all();
        if let Some(device) = &settings.watchdog {
            watchdog::start(device);
        }
        let sysroot = Path::new(SYSROOT);
        mount_root(arguments, sysroot)?;
        if is_whole_system(arguments) {
            say("the root is a whole system, and no deployment");
        } else {
            fallback::prepare_some(&settings, sysroot, arguments)?;
        }
        mount_boot(arguments, sysroot);
        switch_root::switch(sysroot)?;
    } else {
        say("there is no initramfs; the root is the physical one");
        fallback::prepare_some(&settings, Path::new("/"), arguments)?;
        for name in switch_root::VIRTUAL {
            mounts::move_to(&Path::new("/sysroot").join(name), &Path::new("/").join(name))?;
        }
    }
    Err(switch_root::start_init(arguments, words))
}

/// Whether the root file system is that of a slot, and started as it is.
fn is_whole_system(arguments: &KernelArguments) -> bool {
    let is_slot = verity::is_wanted(arguments) || arguments.contains(SLOT);
    is_slot && arguments.target() == Target::Missing
}

/// The kernel's own file systems. What is mounted already is as good.
fn mount_virtual() -> Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    let quiet = safe | MountFlags::NOEXEC;
    let list = [
        ("proc", "/proc", quiet, ""),
        ("sysfs", "/sys", quiet, ""),
        ("devtmpfs", "/dev", MountFlags::NOSUID, "mode=0755"),
        ("tmpfs", "/run", safe, "mode=0755"),
    ];
    for (kind, target, flags, options) in list {
        let target = Path::new(target);
        let _ = fs::create_dir(target);
        if !is_mounted(kind, target) {
            mounts::mount(kind, target, kind, flags, options)?;
        }
    }
    Ok(())
}

fn is_mounted(kind: &str, target: &Path) -> bool {
    let table = fs::read_to_string("/proc/mounts").unwrap_or_default();
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == target.to_str() && words.next() == Some(kind)
    })
}

fn mount_root(arguments: &KernelArguments, sysroot: &Path) -> Result<()> {
    if let Some(seconds) = arguments.number("rootdelay").and_then(|text| u64::try_from(text).ok()) {
        say(&format!("waiting {seconds} seconds, as rootdelay= says"));
        sleep(Duration::from_secs(seconds));
    }
    let way_out = "give the kernel root=UUID=…, root=LABEL=…, root=PARTUUID=…, \
                   root=PARTLABEL=… or root=/dev/…";
    mounts::make_folder(sysroot)?;
    let kinds = arguments.value("rootfstype");
    let (mut flags, options) = split_options(arguments.value("rootflags").unwrap_or_default());
    if verity::is_wanted(arguments) {
        let name = DeviceName::Node(verity::open(arguments)?);
        let flags = flags | MountFlags::RDONLY;
        return mount_device(&name, arguments, sysroot, kinds, flags, &options);
    }
    let text = arguments
        .value("root")
        .ok_or_else(|| Failure::new("root= is missing on the command line").way_out(way_out))?;
    flags.set(MountFlags::RDONLY, !arguments.is_writable());
    if let Some(kind) = kinds.filter(|kind| WITHOUT_BLOCK_DEVICE.contains(kind)) {
        say(&format!("mounting {text} ({kind}) on {}", sysroot.display()));
        return mounts::mount(text, sysroot, kind, flags, &options);
    }
    let name = DeviceName::parse(text).ok_or_else(|| {
        Failure::new(format!("root={text} names no block device")).way_out(way_out)
    })?;
    mount_device(&name, arguments, sysroot, kinds, flags, &options)
}

/// Mounts a device as the first kind of file system in the list that fits; without a list, as what
/// its superblock says.
fn mount_device(
    name: &DeviceName,
    arguments: &KernelArguments,
    target: &Path,
    kinds: Option<&str>,
    flags: MountFlags,
    options: &str,
) -> Result<()> {
    let device = root_device::wait_for(name, arguments)?;
    let device_text = device.to_string_lossy();
    let found = fs::File::open(&device).ok().and_then(|file| superblock::probe(&file));
    let kinds = kinds.or(found.as_ref().map(|found| found.kind)).ok_or_else(|| {
        Failure::new(format!("{device_text} has no file system that is known here"))
            .way_out("check root=, or say rootfstype=")
    })?;
    let mut last = Failure::new("rootfstype= is empty");
    for kind in kinds.split(',') {
        say(&format!("mounting {device_text} ({kind}) on {}", target.display()));
        let mount = || mounts::mount(&device_text, target, kind, flags, options);
        let mounted = match mount() {
            Err(_) if kind == "ext4" && mend(&device) => mount(),
            mounted => mounted,
        };
        match mounted {
            Ok(()) => return Ok(()),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// Mends what a power cut tore of ext4. True when something was, and a mount is worth another try.
fn mend(device: &Path) -> bool {
    let superblock = torn_superblock::mend(device);
    torn_commit::mend(device) || superblock
}

/// `boot=` names the file system of `/boot`. It is mounted here for systems that have nobody else
/// to do it. The system can run without.
pub(crate) fn mount_boot(arguments: &KernelArguments, root: &Path) {
    let Some(name) = arguments.value("boot").and_then(DeviceName::parse) else { return };
    if root.join("usr/lib/systemd/systemd").exists() {
        return;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    if let Err(failure) = mount_device(&name, arguments, &root.join("boot"), None, flags, "") {
        complain(&format!("/boot is missing: {failure}"));
    }
}

/// The options of `rootflags=` that are flags of the kernel, and the others, which are the file
/// system's own.
fn split_options(text: &str) -> (MountFlags, String) {
    let known = [
        ("noatime", MountFlags::NOATIME),
        ("nodiratime", MountFlags::NODIRATIME),
        ("relatime", MountFlags::RELATIME),
        ("strictatime", MountFlags::STRICTATIME),
        ("lazytime", MountFlags::LAZYTIME),
        ("sync", MountFlags::SYNCHRONOUS),
        ("dirsync", MountFlags::DIRSYNC),
        ("nosuid", MountFlags::NOSUID),
        ("nodev", MountFlags::NODEV),
        ("noexec", MountFlags::NOEXEC),
    ];
    let mut flags = MountFlags::empty();
    let mut options = Vec::new();
    for word in text.split(',').filter(|word| !matches!(*word, "" | "defaults" | "ro" | "rw")) {
        match known.iter().find(|(name, _)| *name == word) {
            Some((_, flag)) => flags |= *flag,
            None => options.push(word),
        }
    }
    (flags, options.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_options() {
        let (flags, options) = split_options("noatime,data=journal,ro,defaults,subvol=@");
        assert_eq!(flags, MountFlags::NOATIME);
        assert_eq!(options, "data=journal,subvol=@");
    }
}
