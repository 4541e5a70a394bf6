//! A machine with one root and a recovery: partitions for the root, for the control block, and for what
//! recovery needs. What starts it looks for `boot-recovery`, as the boot loaders of such devices do.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use harness::{Answer, Programs};
use machine::{Disk, Initramfs, Kernel, Partition};

use crate::root_image::root_image;
use crate::{DiskFile, Part, Rack, Release};

const MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "ext4"];
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod $module; done </etc/updraft-init/modules
until [ -b /dev/vda3 ]; do sleep 0.1; done
if [ \"$(dd if=/dev/vda2 bs=13 count=1 2>/dev/null)\" = boot-recovery ]; then
    mount -t ext4 /dev/vda3 /cache
    updraft-recovery
    echo \"RECOVERY ENDS WITH $?\" >/dev/console
    sync
    reboot -f
fi
mount -t ext4 -o ro /dev/vda1 /sysroot
mount --move /dev /sysroot/dev
exec switch_root /sysroot /usr/sbin/init
";
const RECOVERY: &str = "\
misc = \"/dev/vda2\"
keys = [\"/etc/updraft/ota.x509.pem\"]
compatible = \"board\"
";
/// How large the root is, in MiB.
const ROOT: u64 = 64;
/// The partitions, in their order.
const PARTS: [(&str, u64); 3] = [("root", ROOT), ("misc", 1), ("cache", 96)];
const CONTROL: &[u8] = b"boot-recovery";

/// What a disk of such a machine leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leads {
    /// To recovery, whatever the root holds.
    ToRecovery,
    /// To this release, whole to the last byte.
    To(String),
    /// To a root that is no release.
    Astray,
}

/// Releases for machines with one root, and the key that signs them.
#[derive(Debug)]
pub struct OneRoot {
    folder: PathBuf,
    programs: Programs,
}

impl OneRoot {
    /// No releases yet.
    ///
    /// # Errors
    /// When `openssl` is not there, or recovery is not built.
    pub fn new(folder: &Path) -> Result<Self> {
        let programs = Programs::beside_tests()?;
        let etc = folder.join("etc/updraft");
        fs::create_dir_all(&etc)?;
        let openssl = |arguments: &[&str]| {
            Answer::good(Command::new("openssl").current_dir(folder).args(arguments))
        };
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"])?;
        let certificate = ["req", "-new", "-x509", "-sha256", "-days", "99", "-subj", "/CN=vm"];
        let certificate = [&certificate[..], &["-key", "key", "-out", "ota.x509.pem"]].concat();
        openssl(&certificate)?;
        fs::copy(folder.join("ota.x509.pem"), etc.join("ota.x509.pem"))?;
        Ok(Self { folder: folder.to_path_buf(), programs })
    }

    fn image(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.img"))
    }

    /// Makes the root file system of a release.
    ///
    /// # Errors
    /// When a part of it is missing on this machine.
    pub fn add(&self, release: &Release) -> Result<()> {
        let etc = self.folder.join("etc");
        root_image(release, ROOT, &[&etc], &self.image(release.name()))
    }

    /// Makes a bundle of a release, and a medium with it: `/ota.zip`.
    ///
    /// # Errors
    /// With what a program said.
    pub fn medium(&self, name: &str) -> Result<PathBuf> {
        let (tree, medium) = (self.folder.join("medium-tree"), self.folder.join("medium"));
        fs::create_dir_all(&tree)?;
        let image = format!("/dev/vda1={}", self.image(name).display());
        let mut bundle = self.programs.command("updraft");
        bundle.current_dir(&self.folder).args(["ota", "bundle", "medium-tree/ota.zip"]);
        bundle.args(["--compatible", "board", "--release", name, "--image", &image]);
        Answer::good(bundle.args(["--key", "key", "--certificate", "ota.x509.pem"]))?;
        let mut make = Command::new("mkfs.ext4");
        Answer::good(make.args(["-q", "-F", "-d"]).arg(&tree).arg(&medium).arg("80M"))?;
        Ok(medium)
    }

    /// A disk with this release.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn disk(&self, first: &str, path: &Path) -> Result<DiskFile> {
        let [root, misc, cache] = PARTS;
        let empty = self.folder.join("empty");
        fs::create_dir_all(&empty)?;
        let disk = Disk::gpt()
            .partition(Partition::image(root.0, &self.image(first)).mib(root.1))
            .partition(Partition::empty(misc.0).mib(misc.1))
            .partition(Partition::ext4(cache.0).mib(cache.1).folder(&empty))
            .build(path)?;
        let parts = Part::all(&disk, &PARTS)?;
        Ok(DiskFile { path: path.to_path_buf(), parts })
    }

    /// A machine with this disk.
    ///
    /// # Errors
    /// When its initramfs cannot be made.
    pub fn rack(&self, folder: &Path, disk: DiskFile) -> Result<Rack> {
        fs::create_dir_all(folder)?;
        let kernel = Kernel::cloud()?;
        let recovery = machine::build_updraft_recovery_for(&machine::this_machine())?;
        let initramfs = Initramfs::new()
            .directory("/cache")
            .file("/init", 0o755, INIT)
            .file("/etc/updraft/recovery.toml", 0o644, RECOVERY)
            .copy("/etc/updraft/ota.x509.pem", &self.folder.join("ota.x509.pem"))?
            .copy("/bin/busybox", Path::new("/bin/busybox"))?
            .copy("/bin/updraft-recovery", &recovery)?
            .modules(&kernel.modules()?, &MODULES)?
            .build(&folder.join("initramfs.img"))?;
        Ok(Rack::new(folder, disk).with_kernel(&kernel, &initramfs, "quiet"))
    }

    /// Where a disk leads, of these releases.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn leads(&self, disk: &DiskFile, releases: &[&str]) -> Result<Leads> {
        let file = fs::File::open(&disk.path)?;
        let mut control = [0; CONTROL.len()];
        file.read_exact_at(&mut control, disk.part("misc")?.offset)?;
        if control == CONTROL {
            return Ok(Leads::ToRecovery);
        }
        let root = disk.part("root")?;
        let mut held = vec![0; usize::try_from(root.size)?];
        file.read_exact_at(&mut held, root.offset)?;
        for name in releases {
            if fs::read(self.image(name))? == held {
                return Ok(Leads::To((*name).to_owned()));
            }
        }
        Ok(Leads::Astray)
    }
}
