//! A machine with two roots that are small, so that it is up, updated and given up in little time: the
//! programs lie on a partition of their own, and the kernel where the boot loader reads.
//!
//! ```text
//! vda1  boot      what the boot loader reads: kernel, initramfs, its variables or entries
//! vda2  system_a  a root file system
//! vda3  system_b  the other one
//! vda4  data      /var
//! vda5  programs  /opt: updraft, its configuration, and the payloads
//! vda6  control   what boot loaders keep outside of file systems
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use machine::{Disk, Initramfs, Kernel, Machine, Partition};

use crate::release::copy_program;
use crate::slot_loader::{BOOT_MIB, SlotLoader};
use crate::small_system::{DATA, PROGRAMS, SmallSystems};
use crate::starts::{Starts, start_until};
use crate::{DiskFile, Part, Rack, Vendor, updraft};

/// How large a slot is, in MiB.
const SLOT: u64 = 8;
const CONTROL: u64 = 1;
/// How often a new slot is tried by boot loaders that can count.
pub(crate) const TRIES: u32 = 2;
const MODULES: [&str; 8] = [
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "virtio_net",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "efivarfs",
];
/// It is started anew after each reboot: that is faster.
const ENDS: [&str; 1] = ["-no-reboot"];

/// From the boot loader's root to the slot's init. Without one in the slot the kernel panics.
const INIT: &str = "#!/bin/busybox sh
export PATH=/bin
for name in mount insmod sleep switch_root; do busybox ln -s busybox /bin/$name; done
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod $module 2>/dev/null; done </etc/updraft-init/modules
read -r line </proc/cmdline
for word in $line; do
    case $word in root=*) root=${word#root=} ;; esac
done
until [ -b $root ]; do sleep 0.1; done
mount -t ext4 -o ro $root /sysroot
mount --move /dev /sysroot/dev
exec switch_root /sysroot /usr/sbin/init
";
/// What the init of each release runs.
const RC: &str = "\
mount -t ext4 /dev/vda1 /boot 2>/dev/null || mount -t vfat /dev/vda1 /boot
[ ! -d /sys/firmware/efi ] || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
[ ! -e /opt/usr/bin/updraftd ] || {
    mkdir -p /run/updraft-session
    ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
    /opt/usr/bin/updraftd --config /etc/updraft/updraftd.toml run >>/var/updraftd.log 2>&1 &
}
";

/// Releases for such machines, and the key that signs them.
#[derive(Debug)]
pub struct TwoRoots {
    systems: SmallSystems,
    slot_mib: u64,
}

impl TwoRoots {
    /// Those of these names. Each comes as a payload, too. One with the name `broken` has no init.
    ///
    /// # Errors
    /// When a part of them is missing on this machine.
    pub fn new(folder: &Path, releases: &[&str]) -> Result<Self> {
        Self::with_ballast(folder, releases, 0)
    }

    /// The same, each with so many MiB more that nothing makes smaller.
    ///
    /// # Errors
    /// As [`TwoRoots::new`].
    pub fn with_ballast(folder: &Path, releases: &[&str], mib: u64) -> Result<Self> {
        let systems = SmallSystems::new(folder, ["/dev/vda5", "/dev/vda4"], RC)?;
        let made = Self { systems, slot_mib: SLOT + mib };
        for (seed, name) in (0..).zip(releases) {
            let tree = made.systems.tree(name)?;
            let mut ballast = vec![0; usize::try_from(mib << 20)?];
            fastrand::Rng::with_seed(seed).fill(&mut ballast);
            fs::write(tree.join("usr/lib/ballast"), ballast)?;
            let root = Partition::ext4("root").mib(made.slot_mib).folder(&tree);
            let image = made.image(name);
            Disk::bare(&root.option("-O^has_journal"), &image)?;
            made.systems.payload(name, &[("system", &image)])?;
        }
        Ok(made)
    }

    /// The root file system of a release.
    #[must_use]
    pub fn image(&self, name: &str) -> PathBuf {
        self.systems.path(&format!("{name}.img"))
    }

    /// The payload of a release.
    #[must_use]
    pub fn payload(&self, name: &str) -> PathBuf {
        self.systems.opt().join(format!("payloads/{name}.bin"))
    }

    /// Has an agent in each machine that listens to this vendor.
    ///
    /// # Errors
    /// When it is not built.
    pub fn with_agent(self, vendor: &Vendor, configuration: &str) -> Result<Self> {
        vendor.configure(&self.systems.opt().join("etc"), "updraftd.toml", configuration)?;
        copy_program(&updraft()?.with_file_name("updraftd"), &self.systems.opt())?;
        Ok(self)
    }

    /// A machine with this boot loader and this release in its first slot.
    ///
    /// # Errors
    /// When a part of it is missing on this machine.
    pub fn board(&self, loader: SlotLoader, first: &str) -> Result<Board> {
        let systems = &self.systems;
        let partitions = "system = [\"/dev/vda2\", \"/dev/vda3\"]";
        systems.configure(loader.boot_control(), TRIES, partitions)?;
        fs::write(systems.opt().join("etc/updraft/fw_env.config"), "/dev/vda6 0x0 0x4000\n")?;
        let (boot, data) = (systems.path("boot"), systems.path("data"));
        fs::create_dir_all(&boot)?;
        fs::create_dir_all(&data)?;
        let kernel = Kernel::cloud()?;
        fs::copy(kernel.image(), boot.join("vmlinuz"))?;
        Initramfs::new()
            .file("/init", 0o755, INIT)
            .copy("/bin/busybox", Path::new("/bin/busybox"))?
            .modules(&kernel.modules()?, &MODULES)?
            .build(&boot.join("initramfs.img"))?;
        loader.fill(&boot)?;
        let boot = loader.boot_partition().folder(&boot);
        let sizes = [
            ("boot", BOOT_MIB),
            ("system_a", self.slot_mib),
            ("system_b", self.slot_mib),
            ("data", DATA),
            ("programs", PROGRAMS),
            ("control", CONTROL),
        ];
        let path = systems.path("disk.img");
        let disk = Disk::gpt()
            .partition(boot.mib(BOOT_MIB))
            .partition(
                loader.slot(Partition::image("system_a", &self.image(first)).mib(self.slot_mib)),
            )
            .partition(loader.slot(Partition::empty("system_b").mib(self.slot_mib)))
            .partition(Partition::ext4("data").mib(DATA).folder(&data))
            .partition(Partition::ext4("programs").mib(PROGRAMS).folder(&systems.opt()))
            .partition(Partition::empty("control").mib(CONTROL))
            .build(&path)?;
        let parts = Part::all(&disk, &sizes)?;
        let disk = DiskFile { path, parts };
        loader.write(&disk, &systems.path(""))?;
        let rack = systems.path("rack");
        fs::create_dir_all(&rack)?;
        let rack =
            loader.firmware(Rack::new(&rack, disk).with_arguments(&ENDS).with_network(&[]))?;
        Ok(Board { loader, rack, kernel, initramfs: systems.path("boot/initramfs.img") })
    }
}

/// Arguments of each kernel: nobody attacks it, and it starts again at once when it panics.
pub(crate) const USUAL: &str = "console=ttyS0 no_timer_check mitigations=off nokaslr \
                                cryptomgr.notests loglevel=4 panic=-1";

/// What starts a slot of a disk: these arguments of the kernel.
pub(crate) fn arguments(slot: &str) -> String {
    let device = if slot == "a" { 2 } else { 3 };
    format!("{USUAL} root=/dev/vda{device} updraft.slot={slot}")
}

/// A machine with two small roots.
#[derive(Debug)]
pub struct Board {
    loader: SlotLoader,
    rack: Rack,
    kernel: Kernel,
    initramfs: PathBuf,
}

impl Starts for Board {
    fn start_once(&self) -> Result<Machine> {
        match self.loader.plays(self.disk())? {
            None => self.rack.start(),
            Some(slot) => {
                let rack = self.rack.clone();
                rack.with_kernel(&self.kernel, &self.initramfs, &arguments(slot)).start()
            }
        }
    }
}

impl Board {
    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> &DiskFile {
        &self.rack.disk
    }

    /// Switches it on, again and again, until a release is up: the machine, and what starts that ended in
    /// a panic before said.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn start(&self, release: &str) -> Result<(Machine, Vec<String>)> {
        start_until(self, release)
    }
}
