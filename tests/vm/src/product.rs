//! Debian with systemd and Updraft in it, as the guide's page "A Debian product" makes it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::{Answer, Programs};

/// What belongs to the machine and not to Updraft: its network, and the agent of these tests.
const FILES: [(&str, u32, &str); 7] = [
    ("etc/hostname", 0o644, "product\n"),
    (
        "etc/systemd/network/20-wired.network",
        0o644,
        "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nIPv6AcceptRA=no\n\
         LinkLocalAddressing=no\n",
    ),
    ("usr/lib/test/agent", 0o755, machine::AGENT),
    (
        "usr/lib/systemd/system/test-agent.service",
        0o644,
        "[Unit]\nDescription=The agent of the tests\n\
         [Service]\nEnvironmentFile=/usr/lib/os-release\n\
         ExecStartPre=/bin/sh -c 'echo \"<2>SYSTEM READY $VERSION_ID\" >/dev/kmsg'\n\
         ExecStart=/usr/lib/test/agent\nRestart=always\n\
         [Install]\nWantedBy=multi-user.target\n",
    ),
    // A small initramfs is soon made and soon read.
    ("etc/initramfs-tools/conf.d/product", 0o644, "MODULES=list\nCOMPRESSLEVEL=1\n"),
    ("etc/initramfs-tools/modules", 0o644, "virtio_pci\nvirtio_blk\next4\n"),
    // A processor that is emulated is slow, and slower beside other tests.
    (
        "etc/systemd/system.conf.d/slow.conf",
        0o644,
        "[Manager]\nDefaultTimeoutStartSec=4min\nDefaultDeviceTimeoutSec=4min\n",
    ),
];
/// What is started at boot.
const ENABLED: [&str; 5] = [
    "systemd-networkd.service",
    "updraftd.service",
    "updraft-health.service",
    "updraft-boot-good.service",
    "test-agent.service",
];
/// What has no work in a machine like this, or works on packages.
const MASKED: [&str; 21] = [
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "systemd-pstore.service",
];

/// A root file system from which releases are made.
#[derive(Debug)]
pub struct Product {
    programs: Programs,
    folder: PathBuf,
}

impl Product {
    /// Debian, with our programs, units and initramfs hook installed by `packaging/install`.
    ///
    /// # Errors
    /// With what a program said.
    pub fn create(programs: &Programs, folder: &Path) -> Result<Self> {
        Self::of(&machine::debian_root()?, programs, folder, &[])
    }

    /// The same of the next release of Debian, with these files, which its initramfs may take along.
    ///
    /// # Errors
    /// With what a program said.
    pub fn create_newer(
        programs: &Programs,
        folder: &Path,
        files: &[(&str, u32, &str)],
    ) -> Result<Self> {
        Self::of(&machine::newer_debian_root()?, programs, folder, files)
    }

    fn of(
        debian: &Path,
        programs: &Programs,
        folder: &Path,
        files: &[(&str, u32, &str)],
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let product = Self { programs: programs.clone(), folder: folder.to_path_buf() };
        let root = product.root();
        let mut copy = Command::new("cp");
        Answer::good(copy.args(["-a", "--reflink=auto"]).arg(debian).arg(&root))?;
        let mut install = Command::new(packaging().join("install"));
        install.arg(product.stripped()?).arg(&root).args(["device", "server"]);
        Answer::good(&mut install)?;
        let _ = fs::remove_file(root.join("etc/resolv.conf"));
        for (path, mode, text) in FILES.iter().chain(files) {
            write(&root.join(path), *mode, text)?;
        }
        systemctl(&root, "enable", &ENABLED)?;
        systemctl(&root, "mask", &MASKED)?;
        let mut initramfs = Command::new("chroot");
        initramfs.arg(&root).args(["update-initramfs", "-c", "-k", "all"]);
        Answer::good(&mut initramfs)?;
        Ok(product)
    }

    /// A tree that can be deployed, of a version that has these files besides.
    ///
    /// # Errors
    /// With what a program said.
    pub fn tree(&self, name: &str, files: &[(&str, u32, String)]) -> Result<PathBuf> {
        let (root, tree) = (self.folder.join(format!("root-{name}")), self.folder.join(name));
        // Links: what is written below replaces files and changes none.
        Answer::good(Command::new("cp").arg("-al").arg(self.root()).arg(&root))?;
        let release = fs::read_to_string(root.join("usr/lib/os-release"))?;
        let others = release.lines().filter(|line| !line.starts_with("VERSION_ID="));
        let others: String = others.flat_map(|line| [line, "\n"]).collect();
        write(&root.join("usr/lib/os-release"), 0o644, &format!("{others}VERSION_ID={name}\n"))?;
        for (path, mode, text) in files {
            write(&root.join(path), *mode, text)?;
            if path.starts_with("etc/systemd/system/") {
                systemctl(&root, "enable", &[path.rsplit('/').next().unwrap_or(path)])?;
            }
        }
        let mut convert = self.programs.command("updraft");
        Answer::good(convert.args(["image", "convert"]).arg(&root).arg(&tree))?;
        Ok(tree)
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Our programs without what only a debugger needs.
    fn stripped(&self) -> Result<PathBuf> {
        let folder = self.folder.join("programs");
        fs::create_dir_all(&folder)?;
        let built = std::env::current_exe()?;
        let built = built.parent().and_then(Path::parent).context("find target/debug")?;
        let mut programs = vec![machine::build_updraft_init()?];
        programs.extend(["updraft", "updraftd", "updraft-server"].map(|name| built.join(name)));
        for program in programs {
            let target = folder.join(program.file_name().context("a program has a name")?);
            Answer::good(Command::new("strip").arg("-o").arg(target).arg(&program))?;
        }
        Ok(folder)
    }

    /// What `systemd-analyze` says about units of this system.
    ///
    /// # Errors
    /// With what it said, when it is not content.
    pub fn analyze(&self, arguments: &[&str], units: &[String]) -> Result<String> {
        let mut command = Command::new("systemd-analyze");
        command.arg(format!("--root={}", self.root().display())).args(arguments).args(units);
        Ok(Answer::good(&mut command)?.err)
    }
}

fn systemctl(root: &Path, verb: &str, units: &[&str]) -> Result<()> {
    let mut command = Command::new("systemctl");
    command.arg(format!("--root={}", root.display())).arg(verb).args(units);
    Answer::good(&mut command)?;
    Ok(())
}

/// The names of all units that are shipped for what is booted; those that take a parameter have one.
///
/// # Errors
/// When they cannot be listed.
pub fn shipped_units() -> Result<Vec<String>> {
    let mut units = Vec::new();
    for folder in ["", "ostree"] {
        for file in fs::read_dir(packaging().join(folder))? {
            let name = file?.file_name().to_string_lossy().replace("@.", "@opt.");
            if matches!(name.rsplit_once('.'), Some((_, "service" | "path"))) {
                units.push(name);
            }
        }
    }
    Ok(units)
}

/// The folder with units, hooks and `install`.
fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    let _ = fs::remove_file(path);
    fs::write(path, text).with_context(|| path.display().to_string())?;
    ensure!(path.is_file(), "{} is not a file", path.display());
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}
