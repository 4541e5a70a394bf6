//! Virtual machines for tests: a kernel, an initramfs, a disk, and QEMU to boot them.
//!
//! Nothing is mounted and nothing is installed: the kernel is Debian's cloud kernel, downloaded
//! once below the target folder; file systems are filled by `mkfs.ext4 -d` and mtools; QEMU
//! emulates the processor where KVM does not work, for a machine that tests others is often a
//! virtual one itself.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use machine::{Disk, Initramfs, Kernel, Machine, Options, Partition, System};
//!
//! let folder = tempfile::tempdir()?;
//! let kernel = Kernel::cloud()?;
//!
//! // An operating system of busybox: its init says "SYSTEM READY NAME" and runs the agent.
//! let tree = folder.path().join("tree");
//! System::new("one").kernel(&kernel).write(&tree)?;
//!
//! // A disk with a GUID partition table.
//! let disk = Disk::gpt()
//!     .partition(Partition::efi().mib(64))
//!     .partition(Partition::ext4("root").label("root").mib(256).folder(&tree))
//!     .build(&folder.path().join("disk.img"))?;
//!
//! // An initramfs with a static program as its init, and modules for it to load in order.
//! let initramfs = Initramfs::new()
//!     .copy("/init", &machine::build_updraft_init()?)?
//!     .modules(&kernel.modules()?, machine::DISK_MODULES)?
//!     .build(&folder.path().join("initramfs.img"))?;
//!
//! let options = Options::kernel(&kernel, Some(&initramfs), "root=LABEL=root rw");
//! let mut machine = Machine::start(&options.disk(disk.path()).folder(folder.path()))?;
//! machine.wait_for("SYSTEM READY", Duration::from_mins(1))?;
//! assert!(machine.run("cat /proc/mounts")?.good()?.contains("ext4"));
//! machine.kill();
//! # Ok(())
//! # }
//! ```
//!
//! * [`Kernel::cloud`] needs `apt-get` and the network at its first call only.
//! * [`debian_root`] is a whole Debian with systemd, to be made into a tree, and
//!   [`newer_debian_root`] the next release of it.
//! * [`newer_ostree_root`] is a Debian with a newer release of the real `ostree`, to change the root to.
//! * [`Machine::wait_for`] looks at the console from the last mark it found onwards, so that the
//!   same mark can be waited for after a reboot; it fails with the end of the console when the
//!   time is over or when QEMU ended.
//! * [`Machine::run`] gives a command line to the shell agent in the guest, over a second serial
//!   port; [`Machine::tell`] one that the agent does not survive, such as `reboot -f`. [`AGENT`] is that agent, for trees that are not made by [`System`].
//! * [`Machine::kill`] is a power cut in which the host's page cache survives.
//! * [`Sysroot`] is a folder that the real `ostree` deploys into, to be the content of a disk.
//! * [`Foreign`] is what runs on other processors: see [`Options::processor`].
//! * With a boot loader on the disk: [`Options::firmware`] in place of [`Options::kernel`].

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

mod cache;
mod programs;

mod packages;

mod foreign;
mod kernel;
mod modules;

mod cpio;
mod initramfs;

mod debian;
mod disk;
mod newer_ostree;
mod partition;
mod sysroot;
mod system;
mod updraft_init;

mod accelerator;
mod agent;
mod options;
mod patience;
mod qemu;

pub use agent::{AGENT, Answer};
pub use cache::target_folder;
pub use debian::{debian_root, newer_debian_root};
pub use disk::{Disk, DiskBuilder};
pub use foreign::Foreign;
pub use initramfs::Initramfs;
pub use kernel::Kernel;
pub use modules::{Modules, Needed};
pub use newer_ostree::newer_ostree_root;
pub use options::{Firmware, Options};
pub use partition::{EFI_SYSTEM, Partition};
pub use qemu::Machine;
pub use sysroot::{BootEntry, Sysroot};
pub use system::System;
pub use updraft_init::{
    build_updraft_init, build_updraft_init_for, build_updraft_recovery_for, this_machine,
};

/// The modules that a [`Machine`]'s disks need.
pub const DISK_MODULES: &[&str] = &["virtio_pci", "virtio_blk"];
