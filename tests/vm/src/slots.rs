//! A machine with two roots: a GPT disk with a boot loader that reads entries, two slots and a place for
//! data. Each slot holds a file system that nobody writes to while it runs.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use harness::{Answer, Operator};
use machine::{Disk, Initramfs, Kernel, Partition};

use crate::rack::{Rules, first_by};
use crate::root_image::root_image;
use crate::{DiskFile, Part, Release};

const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const MODULES: [&str; 7] =
    ["virtio_pci", "virtio_blk", "ext4", "virtio_net", "vfat", "nls_cp437", "nls_ascii"];
/// What both slots are started by.
const INIT: &str = "#!/bin/busybox sh
export PATH=/bin
for name in mount insmod sleep switch_root; do busybox ln -s busybox /bin/$name; done
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod $module; done </etc/updraft-init/modules
read -r line </proc/cmdline
for word in $line; do
    case $word in root=*) root=${word#root=} ;; esac
done
until [ -b $root ]; do sleep 0.1; done
mount -t ext4 -o ro $root /sysroot
mount --move /dev /sysroot/dev
exec switch_root /sysroot /usr/sbin/init
";
/// What the slots of such a machine are.
const SLOTS: &str = "\
state = \"/var/slots\"
keys = [\"/etc/updraft/payload.pem\"]
tries = 2

[boot-control.entries]
folder = \"/boot/loader/entries\"
names = [\"slot-a\", \"slot-b\"]

[partitions]
system = [\"/dev/vda2\", \"/dev/vda3\"]
";
/// How large a slot is, in MiB.
const SLOT: u64 = 96;
/// The partitions, in their order.
const PARTS: [(&str, u64); 4] = [("esp", 64), ("system_a", SLOT), ("system_b", SLOT), ("data", 64)];

/// Releases for machines with two roots, and the key that signs them.
#[derive(Debug)]
pub struct SlotReleases {
    folder: PathBuf,
    /// What each machine has in `/etc`, beside what is its own.
    etc: PathBuf,
}

impl SlotReleases {
    /// None yet. `etc` is what each release has in its `/etc`.
    ///
    /// # Errors
    /// When `openssl` is not there.
    pub fn new(folder: &Path, etc: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let openssl = |arguments: &[&str]| {
            Answer::good(Command::new("openssl").current_dir(folder).args(arguments))
        };
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"])?;
        openssl(&["ec", "-in", "key", "-pubout", "-out", "payload.pem"])?;
        Ok(Self { folder: folder.to_path_buf(), etc: etc.to_path_buf() })
    }

    /// The root file system of a release.
    #[must_use]
    pub fn image(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.img"))
    }

    /// Makes the root file system of a release.
    ///
    /// # Errors
    /// When a part of it is missing on this machine.
    pub fn add(&self, release: &Release) -> Result<()> {
        let own = self.folder.join("etc");
        fs::create_dir_all(own.join("updraft"))?;
        fs::write(own.join("updraft/slots.toml"), SLOTS)?;
        fs::copy(self.folder.join("payload.pem"), own.join("updraft/payload.pem"))?;
        root_image(release, SLOT, &[&self.etc, &own], &self.image(release.name()))
    }

    /// Makes the payload of a release; a delta where `old` is given.
    ///
    /// # Errors
    /// With what the program said.
    pub fn payload(&self, operator: &Operator, name: &str, old: Option<&str>) -> Result<PathBuf> {
        let image = |name: &str| format!("system={}", self.image(name).display());
        let output = self.folder.join(format!("{name}-from-{}.bin", old.unwrap_or("nothing")));
        let (key, new) = (self.folder.join("key"), image(name));
        let (text, key) = (output.display().to_string(), key.display().to_string());
        let mut arguments = vec!["payload", "generate", &text, "--key", &key, "--image", &new];
        let old = old.map(image);
        arguments.extend(old.iter().flat_map(|old| ["--old", old.as_str()]));
        operator.run(&arguments)?;
        Ok(output)
    }

    /// A disk with a release in its first slot; `data` is what is in the place for data.
    ///
    /// # Errors
    /// When Debian's systemd-boot is not installed.
    pub fn disk(&self, first: &str, path: &Path) -> Result<DiskFile> {
        let (esp, data) = (self.folder.join("esp"), self.folder.join("data"));
        for folder in [&esp.join("EFI/BOOT"), &esp.join("loader/entries"), &data.join("log")] {
            fs::create_dir_all(folder)?;
        }
        let kernel = Kernel::cloud()?;
        // Where the boot loader's part is played, only these two folders are read.
        fs::copy(kernel.image(), esp.join("loader/vmlinuz"))?;
        Initramfs::new()
            .file("/init", 0o755, INIT)
            .copy("/bin/busybox", Path::new("/bin/busybox"))?
            .modules(&kernel.modules()?, &MODULES)?
            .build(&esp.join("loader/initramfs.img"))?;
        fs::copy(SYSTEMD_BOOT, esp.join("EFI/BOOT/BOOTX64.EFI"))
            .context("copy systemd-boot; install systemd-boot-efi")?;
        for (name, slot, device, version) in [("slot-a", 'a', 2, 2), ("slot-b+0-1", 'b', 3, 1)] {
            let entry = format!(
                "title {slot}\nversion {version}\nlinux /loader/vmlinuz\n\
                 initrd /loader/initramfs.img\noptions console=ttyS0 no_timer_check \
                 cryptomgr.notests loglevel=4 panic=1 \
                 root=/dev/vda{device} updraft.slot={slot}\n"
            );
            fs::write(esp.join("loader/entries").join(format!("{name}.conf")), entry)?;
        }
        let [boot, a, b, own] = PARTS;
        let disk = Disk::gpt()
            .partition(Partition::efi().mib(boot.1).folder(&esp))
            .partition(Partition::image(a.0, &self.image(first)).mib(a.1))
            .partition(Partition::empty(b.0).mib(b.1))
            .partition(Partition::ext4(own.0).mib(own.1).folder(&data))
            .build(path)?;
        let parts = Part::all(&disk, &PARTS)?;
        Ok(DiskFile { path: path.to_path_buf(), parts })
    }

    /// Which of these releases a boot loader would start from a disk, whole to the last byte.
    ///
    /// # Errors
    /// When it would start nothing, or something else.
    pub fn started(&self, disk: &DiskFile, releases: &[&str], scratch: &Path) -> Result<String> {
        let _ = fs::remove_dir_all(scratch);
        disk.read_as_boot_loader(scratch)?;
        let entry = first_by(scratch, Rules::SystemdBoot)?;
        let options = entry.get("options").context("an entry without options")?;
        let (_, slot) = options.split_once("updraft.slot=").context("an entry without a slot")?;
        let part = disk.part(&format!("system_{}", slot.trim()))?;
        let mut held = vec![0; usize::try_from(part.size)?];
        fs::File::open(&disk.path)?.read_exact_at(&mut held, part.offset)?;
        for file in ["loader/vmlinuz", "loader/initramfs.img"] {
            let (seen, right) = (fs::read(scratch.join(file))?, self.folder.join("esp").join(file));
            ensure!(seen == fs::read(right)?, "{file} is damaged");
        }
        for name in releases {
            if fs::read(self.image(name))? == held {
                return Ok((*name).to_owned());
            }
        }
        bail!("slot {} is started, and is none of {releases:?}", slot.trim())
    }
}
