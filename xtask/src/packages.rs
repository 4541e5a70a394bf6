//! The Debian packages that demo and tests need, and their installation.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// A Debian package and why it is needed.
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: &'static str,
    /// Why it is needed.
    pub(crate) reason: &'static str,
}

/// What the demo needs.
pub(crate) const DEMO: &[Package] = &[
    Package { name: "ca-certificates", reason: "trust in the Debian archive" },
    Package { name: "mmdebstrap", reason: "builds the Debian system that is rolled out" },
    Package { name: "e2fsprogs", reason: "chattr, to remove deployments of an earlier run" },
    Package { name: "ostree", reason: "the real tool, which checks what Updraft wrote" },
    Package { name: "python3", reason: "unpacks credentials for the device that is attacked" },
];

/// What the bench of metadata needs.
pub(crate) const METADATA_BENCH: &[Package] =
    &[Package { name: "python3-venv", reason: "runs python-tuf, the peer" }];

/// What the bench of the server needs.
pub(crate) const SERVER_BENCH: &[Package] = &[
    Package { name: "curl", reason: "downloads from the server and from its peer" },
    Package { name: "nginx-light", reason: "sends files, the peer" },
    Package { name: "postgresql", reason: "the database of large installations" },
];

/// What the bench of payloads needs.
pub(crate) const SLOTS_BENCH: &[Package] = &[
    Package { name: "bsdiff", reason: "makes differences, a peer" },
    Package { name: "casync", reason: "stores images in chunks, a peer" },
    Package { name: "curl", reason: "downloads as fast as can be" },
    Package { name: "e2fsprogs", reason: "makes the images of file systems" },
    Package { name: "grub-common", reason: "grub-editenv, which makes the device's environment" },
    Package { name: "mmdebstrap", reason: "builds the Debian systems in the images" },
    Package { name: "nginx-light", reason: "sends payloads" },
    Package { name: "xdelta3", reason: "makes differences, a peer" },
    Package { name: "xz-utils", reason: "decompresses as fast as can be" },
    Package { name: "zstd", reason: "makes differences, a peer" },
];

/// What the test suite needs.
pub(crate) const TEST: &[Package] = &[
    Package { name: "asn1c", reason: "an independent codec of the messages to secondaries" },
    Package { name: "attr", reason: "sets and reads xattrs in the suite of the real tool" },
    Package { name: "brotli", reason: "packs new data of recovery packages" },
    Package { name: "bsdiff", reason: "makes patches of recovery packages" },
    Package { name: "busybox-static", reason: "the whole of the systems that are booted" },
    Package { name: "bzip2", reason: "packs tar streams" },
    Package { name: "cgpt", reason: "reads and writes priorities of slots as ChromeOS does" },
    Package { name: "chromium", reason: "a browser for the tests of the dashboard" },
    Package { name: "cpio", reason: "makes cpio streams" },
    Package { name: "cryptsetup-bin", reason: "veritysetup, an independent maker of hash trees" },
    Package { name: "curl", reason: "an independent HTTP client" },
    Package { name: "default-jre-headless", reason: "runs signapk" },
    Package { name: "e2fsprogs", reason: "makes the file systems of virtual machines" },
    Package { name: "efibootmgr", reason: "reads and writes boot entries of EFI" },
    Package { name: "erofs-utils", reason: "makes a file system to recognise" },
    Package { name: "faketime", reason: "shows an agent a wrong clock" },
    Package { name: "fdisk", reason: "sfdisk, which divides the disks of virtual machines" },
    Package { name: "fsverity", reason: "seals files inside virtual machines" },
    Package { name: "g++", reason: "links the fuzz targets with libFuzzer" },
    Package { name: "gdisk", reason: "sgdisk, which verifies partition tables" },
    Package { name: "git", reason: "lists the files that the tidy test looks at" },
    Package { name: "gpg-agent", reason: "keeps the secret keys of gpg" },
    Package { name: "gpg", reason: "makes keys and signatures to check" },
    Package { name: "grub-common", reason: "grub-editenv, which reads what we write for GRUB" },
    Package { name: "libtpm2-pkcs11-1", reason: "a TPM 2.0 as a token of PKCS#11" },
    Package { name: "libubootenv-tool", reason: "reads and writes environments as U-Boot does" },
    Package { name: "mender-artifact", reason: "makes images for devices of Mender" },
    Package { name: "mender-client", reason: "a device of Mender" },
    Package { name: "mkbootimg", reason: "makes images for Android's boot loader" },
    Package { name: "mtools", reason: "fills the FAT file systems of virtual machines" },
    Package { name: "opensc", reason: "pkcs11-tool, which fills tokens" },
    Package { name: "openssl", reason: "an independent check of keys and certificates" },
    Package { name: "ostree", reason: "the real tool, as the peer of the differential tests" },
    Package { name: "ostree-boot", reason: "the real prepare-root, booted beside ours" },
    Package {
        name: "ostree-tests",
        reason: "the real tool's own test suite, which ours must pass",
    },
    Package {
        name: "parallel",
        reason: "deploys many times at once in the suite of the real tool",
    },
    Package { name: "postgresql", reason: "a database that servers share" },
    Package { name: "procps", reason: "kill, to stop agents in the middle of their work" },
    Package { name: "python3-aiosmtpd", reason: "a mail server" },
    Package { name: "python3-yaml", reason: "reads the version of ostree in its suite" },
    Package {
        name: "python3-venv",
        reason: "runs python-tuf, a reader of payloads and a store, all as peers",
    },
    Package { name: "qemu-system-arm", reason: "boots a virtual machine for arm64" },
    Package { name: "qemu-system-misc", reason: "boots a virtual mainframe" },
    Package { name: "qemu-system-x86", reason: "boots virtual machines" },
    Package { name: "signapk", reason: "signs packages as Android does" },
    Package { name: "sbsigntool", reason: "sbverify, which checks signatures of EFI programs" },
    Package { name: "softhsm2", reason: "tokens of PKCS#11, without hardware" },
    Package { name: "swtpm", reason: "plays a TPM 2.0" },
    Package { name: "swupdate", reason: "a device of the hawkBit world" },
    Package { name: "systemd-boot", reason: "bootctl, which lists the entries that we write" },
    Package { name: "systemd", reason: "systemd-analyze, which verifies our units" },
    Package { name: "u-boot-tools", reason: "mkenvimage, which makes environments for U-Boot" },
    Package { name: "tinyproxy-bin", reason: "a proxy between devices and their server" },
    Package { name: "xz-utils", reason: "packs tar streams" },
    Package { name: "zstd", reason: "packs tar streams" },
    Package { name: "binutils", reason: "strip, for virtual machines; objcopy, beside our images" },
    Package { name: "dosfstools", reason: "makes the EFI system partitions of disk images" },
    Package { name: "grub-efi-amd64-bin", reason: "GRUB for EFI, for disk images" },
    Package { name: "grub-pc-bin", reason: "GRUB for a BIOS, for disk images" },
    Package { name: "mount", reason: "mounts the disks of virtual machines" },
    Package { name: "ovmf", reason: "EFI for virtual machines" },
    Package {
        name: "systemd-boot-efi",
        reason: "systemd-boot and the stub of unified kernel images",
    },
    Package { name: "u-boot-qemu", reason: "U-Boot for virtual machines" },
];

/// Sees to it that `packages` are installed. With `install`, installs what is missing, and says
/// which; without, says what is missing and how to get it.
pub(crate) fn require(packages: &[Package], install: bool) -> Result<()> {
    let missing: Vec<&Package> =
        packages.iter().filter(|package| !is_installed(package.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("Debian packages that are missing:");
    for package in &missing {
        println!("  {:<16} {}", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !install {
        bail!("install them first: apt-get install {}", names.join(" "));
    }
    if !shell::exists("apt-get") {
        bail!("there is no apt-get here; install the programs of {} by hand", names.join(", "));
    }
    let root = is_root();
    shell::run(apt(root).args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    shell::run(apt(root).args(install).args(names))
}

fn apt(root: bool) -> Command {
    let mut command = if root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let line = status.lines().find(|line| line.starts_with("Uid:"));
        line.and_then(|line| line.split_whitespace().nth(2)) == Some("0")
    })
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]).output();
    query.is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}
