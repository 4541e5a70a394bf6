//! Versions of a tiny system, and the repository that holds them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use harness::{Answer, Programs};
use machine::{Foreign, Initramfs, Kernel, System};

/// What is loaded before the root can be mounted, and for the network.
const MODULES: [&str; 8] =
    ["virtio_pci", "virtio_blk", "ext4", "virtio_net", "vfat", "nls_cp437", "nls_ascii", "overlay"];
/// In seconds: several times what a machine needs from its initramfs to its agent.
const WATCHDOG: u32 = 30;

/// A version of the system.
#[derive(Debug, Clone)]
pub struct Release {
    name: String,
    files: Vec<(String, u32, Vec<u8>)>,
    without: Vec<String>,
    programs: Vec<PathBuf>,
    initramfs_files: Vec<(String, u32, Vec<u8>)>,
    modules: Vec<String>,
    watchdog: &'static str,
    watchdog_sec: u32,
    kernel_of: Option<String>,
    machine: Hardware,
}

/// What it is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hardware {
    Usual,
    /// The same, with the newer kernel.
    NewerKernel,
    Other(Foreign),
}

/// The init of an initramfs for a processor for which `updraft-init` is not built here: the root is
/// the second partition.
const FOREIGN_INIT: &str = "#!/bin/busybox sh
export PATH=/bin
for name in mount insmod sleep readlink switch_root; do busybox ln -s busybox /bin/$name; done
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod $module; done </etc/updraft-init/modules
until [ -b /dev/vda2 ]; do sleep 0.1; done
mount -t ext4 /dev/vda2 /sysroot
read -r line </proc/cmdline
for word in $line; do
    case $word in ostree=*) link=${word#ostree=} ;; esac
done
mount --bind $(readlink -f /sysroot$link) /root
mount --bind /sysroot /root/sysroot
mount --move /dev /root/dev
exec switch_root /root /usr/sbin/init
";

impl Release {
    /// A system that says `SYSTEM READY NAME` when it is up.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            without: Vec::new(),
            programs: Vec::new(),
            initramfs_files: Vec::new(),
            modules: MODULES.iter().copied().map(str::to_owned).collect(),
            watchdog: "softdog soft_margin",
            watchdog_sec: WATCHDOG,
            kernel_of: None,
            machine: Hardware::Usual,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// With this file; it replaces what the system has there.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, text: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), mode, text.into()));
        self
    }

    /// Without this file or empty folder.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.without.push(path.to_owned());
        self
    }

    /// With a program of this machine and its libraries, in `/usr/bin`.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.programs.push(program.to_path_buf());
        self
    }

    /// With this file in its initramfs.
    #[must_use]
    pub fn initramfs_file(mut self, path: &str, mode: u32, text: impl Into<Vec<u8>>) -> Self {
        self.initramfs_files.push((path.to_owned(), mode, text.into()));
        self
    }

    /// With these modules in its initramfs, too, loaded after the others.
    #[must_use]
    pub fn modules(mut self, names: &[&str]) -> Self {
        self.modules.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// With a watchdog that resets the machine so many seconds after the last sign of life.
    #[must_use]
    pub fn watchdog_sec(mut self, seconds: u32) -> Self {
        self.watchdog_sec = seconds;
        self
    }

    /// With the driver of a watchdog that is a device of its own (`i6300esb`), in the place of the
    /// kernel's. Only the newer kernel has it.
    #[must_use]
    pub fn hardware_watchdog(mut self) -> Self {
        self.watchdog = "i6300esb heartbeat";
        self.newer_kernel()
    }

    /// With the newer kernel of Debian's backports.
    #[must_use]
    pub fn newer_kernel(mut self) -> Self {
        self.machine = Hardware::NewerKernel;
        self
    }

    /// For another processor. Programs of this machine do not run there.
    #[must_use]
    pub fn foreign(mut self, processor: Foreign) -> Self {
        self.machine = Hardware::Other(processor);
        self
    }

    /// With kernel and initramfs of the release of this name, so that only the boot links differ.
    #[must_use]
    pub fn kernel_of(mut self, name: &str) -> Self {
        self.kernel_of = Some(name.to_owned());
        self
    }

    /// Writes its tree.
    ///
    /// # Errors
    /// When a part of it is missing on this machine.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let kernel = match self.machine {
            Hardware::Usual => Kernel::cloud()?,
            Hardware::NewerKernel => Kernel::backports()?,
            Hardware::Other(processor) => processor.kernel()?,
        };
        let watchdog = format!("{}={}", self.watchdog, self.watchdog_sec);
        let modules: Vec<&str> =
            self.modules.iter().chain([&watchdog]).map(String::as_str).collect();
        // The initramfs of every release is another, so that its kernels have a folder of their
        // own.
        let stamp = self.kernel_of.as_deref().unwrap_or(&self.name);
        let mut initramfs = Initramfs::new()
            .file("/etc/release", 0o644, stamp)
            .modules(&kernel.modules()?, &modules)?;
        let mut system = System::new(&self.name).kernel(&kernel);
        if let Hardware::Other(processor) = self.machine {
            let busybox = processor.busybox()?;
            initramfs = initramfs
                .file("/init", 0o755, FOREIGN_INIT)
                .copy("/bin/busybox", &busybox)?
                .directory("/root");
            system = system.busybox(&busybox);
        } else {
            initramfs = initramfs.copy("/init", &machine::build_updraft_init()?)?;
        }
        for (path, mode, bytes) in &self.initramfs_files {
            initramfs = initramfs.file(path, *mode, bytes.clone());
        }
        let image = initramfs.build(&folder.with_extension("initramfs"))?;
        system.initramfs(fs::read(image)?).write(folder)?;
        for program in &self.programs {
            copy_program(program, folder)?;
        }
        for (path, mode, bytes) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            let _ = fs::remove_file(&path);
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
        }
        for path in &self.without {
            let path = folder.join(path);
            let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
            let gone = if is_folder { fs::remove_dir(&path) } else { fs::remove_file(&path) };
            gone.with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }
}

/// Copies a program, without what only a debugger needs, and the libraries that `ldd` names.
pub(crate) fn copy_program(program: &Path, tree: &Path) -> Result<()> {
    let name = program.file_name().context("a program has a name")?;
    let target = tree.join("usr/bin").join(name);
    let _ = fs::remove_file(&target);
    fs::copy(program, &target).with_context(|| format!("copy {}", program.display()))?;
    Answer::good(Command::new("strip").arg(&target))?;
    for word in Answer::good(Command::new("ldd").arg(program))?.out.split_whitespace() {
        let from = Path::new(word);
        if !from.is_absolute() {
            continue;
        }
        // /lib and /lib64 are links into /usr.
        let below = from.strip_prefix("/")?;
        let below =
            if below.starts_with("usr") { below.into() } else { Path::new("usr").join(below) };
        let to = tree.join(below);
        fs::create_dir_all(to.parent().context("a library is in a folder")?)?;
        fs::copy(from, &to).with_context(|| format!("copy {word}"))?;
    }
    if !tree.join("lib64").exists() {
        std::os::unix::fs::symlink("usr/lib64", tree.join("lib64"))?;
    }
    Ok(())
}

/// A repository of releases, on this machine.
#[derive(Debug, Clone)]
pub struct Repository {
    programs: Programs,
    folder: PathBuf,
}

impl Repository {
    /// An empty one in `folder`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(programs: &Programs, folder: &Path) -> Result<Self> {
        let repository = Self { programs: programs.clone(), folder: folder.to_path_buf() };
        fs::create_dir_all(repository.medium())?;
        repository.run(&["init", "--mode=archive"])?;
        // It is read once or twice.
        repository.run(&["config", "set", "archive.zlib-level", "1"])?;
        Ok(repository)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.medium().join("repo")
    }

    /// The folder that holds it and nothing else.
    #[must_use]
    pub fn medium(&self) -> PathBuf {
        self.folder.join("medium")
    }

    /// The programs that made it.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Commits a release to the branch `os/main`, and to `os/NAME`; gives the commit.
    ///
    /// # Errors
    /// When that fails.
    pub fn add(&self, release: &Release) -> Result<String> {
        self.add_with(release, &[])
    }

    /// The same, with more options for `ostree commit`.
    ///
    /// # Errors
    /// When that fails.
    pub fn add_with(&self, release: &Release, options: &[&str]) -> Result<String> {
        let tree = self.folder.join(format!("tree-{}", release.name));
        release.write(&tree)?;
        let own = format!("os/{}", release.name);
        let (tree, branch) = (format!("--tree=dir={}", tree.display()), format!("--branch={own}"));
        let version = format!("--add-metadata-string=version={}", release.name);
        let usual = [
            "commit",
            &branch,
            "--no-bindings",
            "--owner-uid=0",
            "--owner-gid=0",
            "--no-xattrs",
            "--timestamp=2026-01-01T00:00:00Z",
            "--parent=none",
            &version,
            &tree,
        ];
        let answer = self.run(&[&usual[..], options].concat())?;
        let commit = answer.lines().last().unwrap_or_default().to_owned();
        self.run(&["refs", "--force", "--create=os/main", &own])?;
        Ok(commit)
    }

    /// Commits a tree as it is to the branch `os/NAME`.
    ///
    /// # Errors
    /// When that fails.
    pub fn add_tree(&self, name: &str, tree: &Path) -> Result<()> {
        let (branch, tree) = (format!("--branch=os/{name}"), tree.to_str().context("a path")?);
        let version = format!("--add-metadata-string=version={name}");
        self.run(&["commit", &branch, "--bootable", "--parent=none", &version, tree])?;
        Ok(())
    }

    /// The folder with what was committed.
    #[must_use]
    pub fn tree(&self, release: &str) -> PathBuf {
        self.folder.join(format!("tree-{release}"))
    }

    /// Deploys a release on a mounted disk.
    ///
    /// # Errors
    /// With what was said.
    pub fn deploy_below(&self, root: &Path, release: &str) -> Result<()> {
        let branch = format!("os/{release}");
        let mut pull = self.programs.command("updraft");
        pull.arg("ostree").arg(format!("--repo={}", root.join("ostree/repo").display()));
        Answer::good(pull.arg("pull-local").arg(self.path()).arg(&branch))?;
        let mut deploy = self.programs.command("updraft");
        deploy.args(["ostree", "admin", "deploy", "--os=os"]);
        // A test wants to remove it.
        deploy.env("OSTREE_SYSROOT_DEBUG", "mutable-deployments");
        Answer::good(deploy.arg(format!("--sysroot={}", root.display())).arg(&branch)).map(drop)
    }

    /// `updraft ostree` on it.
    ///
    /// # Errors
    /// With what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.programs.command("updraft");
        command.arg("ostree").arg(format!("--repo={}", self.path().display())).args(arguments);
        Ok(Answer::good(&mut command)?.out)
    }
}
