//! A tiny operating system of busybox, laid out as OSTree wants it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::agent::AGENT;
use crate::kernel::Kernel;
use crate::programs;

/// The static busybox of Debian's package busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// The init: mounts what the initramfs left, shares all mounts with other namespaces as systemd
/// does, says that it is there, runs the agent. It says so in the kernel's log, at a level that is
/// always shown: no other message gets into the midst of it. When the agent ends and somebody asked
/// for a soft reboot, it does that as systemd does, too: all others end, what is at `/run/nextroot`
/// becomes the root, and its init is process 1.
const INIT: &str = "#!/bin/sh
export PATH=/usr/bin:/usr/sbin
[ -d /proc/self ] || mount -t proc proc /proc
[ -d /sys/kernel ] || mount -t sysfs sysfs /sys
[ -c /dev/console ] || mount -t devtmpfs devtmpfs /dev
grep -q ' /run ' /proc/mounts || mount -t tmpfs tmpfs /run
mount --make-rshared /
. /usr/lib/os-release
@EARLY@
[ ! -x /usr/etc/rc ] || /bin/sh /etc/rc
echo \"<2>SYSTEM READY $VERSION_ID\" >/dev/kmsg
soft_reboot() {
    rm /run/soft-reboot
    kill -9 -1
    mount --make-rprivate /
    cd /run/nextroot
    for folder in dev proc sys; do mount --move /$folder $folder; done
    mount --bind /run run
    mount --move . /
    exec chroot . /sbin/init
}
while :; do
    /usr/sbin/agent
    [ ! -e /run/soft-reboot ] || soft_reboot
    sleep 1
done
";

/// A tree that is to be written.
#[derive(Debug, Clone)]
pub struct System {
    version: String,
    kernel: Option<Kernel>,
    initramfs: Option<Vec<u8>>,
    early: String,
    busybox: PathBuf,
}

impl System {
    /// A system whose init says `SYSTEM READY VERSION` on the console, and then runs the agent.
    /// `touch /run/soft-reboot; killall agent` is its `systemctl soft-reboot`.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let busybox = BUSYBOX.into();
        Self {
            version: version.to_owned(),
            kernel: None,
            initramfs: None,
            busybox,
            early: ":".to_owned(),
        }
    }

    /// Puts the kernel's image into `/usr/lib/modules`, so that a commit can be deployed.
    #[must_use]
    pub fn kernel(mut self, kernel: &Kernel) -> Self {
        self.kernel = Some(kernel.clone());
        self
    }

    /// Made of another busybox, for another processor.
    #[must_use]
    pub fn busybox(mut self, program: &Path) -> Self {
        self.busybox = program.to_path_buf();
        self
    }

    /// Puts an initramfs beside the kernel.
    #[must_use]
    pub fn initramfs(mut self, bytes: Vec<u8>) -> Self {
        self.initramfs = Some(bytes);
        self
    }

    /// With a line of shell that its init runs first of all.
    #[must_use]
    pub fn early(mut self, line: &str) -> Self {
        line.clone_into(&mut self.early);
        self
    }

    /// Writes the tree: merged `/usr`, `/usr/etc`, the mount points, `/ostree` and `/tmp` as links.
    ///
    /// # Errors
    /// When busybox is not installed, or the tree cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        for name in ["proc", "sys", "dev", "run", "var", "sysroot", "boot", "root"] {
            fs::create_dir_all(folder.join(name))?;
        }
        for name in ["usr/bin", "usr/sbin", "usr/lib", "usr/etc"] {
            fs::create_dir_all(folder.join(name))?;
        }
        for name in ["bin", "sbin", "lib"] {
            symlink(format!("usr/{name}"), folder.join(name))?;
        }
        symlink("sysroot/ostree", folder.join("ostree"))?;
        symlink("sysroot/tmp", folder.join("tmp"))?;
        fs::write(
            folder.join("usr/lib/os-release"),
            format!("ID=tiny\nNAME=Tiny\nPRETTY_NAME=Tiny\nVERSION_ID=\"{}\"\n", self.version),
        )?;
        fs::write(folder.join("usr/etc/hostname"), "tiny\n")?;
        program(&folder.join("usr/sbin/init"), &INIT.replace("@EARLY@", &self.early))?;
        program(&folder.join("usr/sbin/agent"), AGENT)?;
        busybox(&self.busybox, &folder.join("usr/bin"))?;
        if let Some(kernel) = &self.kernel {
            let modules = folder.join("usr/lib/modules").join(kernel.release());
            fs::create_dir_all(&modules)?;
            fs::copy(kernel.image(), modules.join("vmlinuz"))?;
            if let Some(initramfs) = &self.initramfs {
                fs::write(modules.join("initramfs.img"), initramfs)?;
            }
        }
        Ok(())
    }
}

/// Writes a script that can be executed.
fn program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Puts busybox into a folder, with a link for each of its programs: those that this machine's has.
fn busybox(program: &Path, folder: &Path) -> Result<()> {
    fs::copy(program, folder.join("busybox")).context("copy busybox; install busybox-static")?;
    let names = programs::run(Command::new(BUSYBOX).arg("--list"))?;
    for name in String::from_utf8_lossy(&names).lines().filter(|name| *name != "busybox") {
        symlink("busybox", folder.join(name))?;
    }
    Ok(())
}
