//! Opening and locking a sysroot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_error::Kind;
use updraft_fs::{Dir, LockFile, LockMode, atomic_write};
use updraft_repo::Repo;
use updraft_task::Context;

use crate::{Deployment, DeploymentId, Error, Origin, Result};

/// How long to wait for somebody else who changes the sysroot.
const LOCK_TIMEOUT: Duration = Duration::from_mins(5);

/// Choices that libostree takes from its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "they are switches of the environment")]
pub struct Options {
    /// Name entries `ostree-N-STATEROOT.conf`, as libostree did before 2023.6.
    pub older_entry_names: bool,
    /// Leave it to the firmware to have a device tree.
    pub without_device_trees: bool,
    /// Leave deployments without the immutable flag.
    pub mutable_deployments: bool,
    /// Do not make changes durable: a sysroot that is made on another system, which is copied.
    pub skip_sync: bool,
    /// What makes `grub.cfg`, called with `-o FILE`. `None`: the running system's
    /// `grub2-mkconfig`.
    pub grub2_program: Option<PathBuf>,
    /// Where the running system keeps what is true until it is shut down.
    pub run_folder: PathBuf,
    /// The root of the running system.
    pub running_root: PathBuf,
    /// Where the running system shows the variables of its EFI firmware.
    pub firmware_variables: PathBuf,
    /// What installs the boot loaders zipl and aboot. `None`: the running system's `zipl`, or
    /// `aboot-deploy`.
    pub boot_loader_program: Option<PathBuf>,
    /// Where U-Boot's environment is written down. `None`: `/etc/fw_env.config` of the running
    /// system.
    pub uboot_environment: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            older_entry_names: false,
            without_device_trees: false,
            mutable_deployments: false,
            skip_sync: false,
            grub2_program: None,
            boot_loader_program: None,
            uboot_environment: None,
            run_folder: "/run".into(),
            running_root: "/".into(),
            firmware_variables: "/sys/firmware/efi/efivars".into(),
        }
    }
}

/// A folder that holds deployments; `/` on a running device.
#[derive(Debug)]
pub struct Sysroot {
    pub(crate) path: PathBuf,
    pub(crate) root: Dir,
    pub(crate) ostree: Dir,
    pub(crate) repo: Repo,
    pub(crate) options: Options,
}

impl Sysroot {
    /// Opens the sysroot at `path`, whose `ostree/repo` must exist.
    ///
    /// # Errors
    /// [`Error::Fs`], [`Error::Repo`] naming what is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// As [`Sysroot::open`], with choices.
    ///
    /// # Errors
    /// As [`Sysroot::open`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        let root = Dir::open(path)?;
        // A link to `sysroot/ostree` where the root is a deployment that runs.
        let ostree = root.open_dir_follow("ostree")?;
        let repo = Repo::open(path.join("ostree/repo"))?;
        Ok(Self { path: path.to_path_buf(), root, ostree, repo, options })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Keeps all others, real `ostree` included, from changing the sysroot, and gives the right
    /// to change it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when somebody keeps the lock for five minutes.
    pub fn lock(&self, ctx: &Context) -> Result<Locked<'_>> {
        let lock = LockFile::acquire(ctx, &self.ostree, "lock", LockMode::Exclusive, LOCK_TIMEOUT)?;
        Ok(Locked { sysroot: self, _lock: lock })
    }

    /// As [`Sysroot::lock`], without waiting; `None` when somebody else has the lock.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn try_lock(&self) -> Result<Option<Locked<'_>>> {
        let lock = LockFile::try_acquire(&self.ostree, "lock", LockMode::Exclusive)?;
        Ok(lock.map(|lock| Locked { sysroot: self, _lock: lock }))
    }

    /// The deployment of this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is neither offered by the boot loader nor staged.
    pub fn deployment(&self, id: &DeploymentId) -> Result<Deployment> {
        let found = self.all_deployments()?.into_iter().find(|deployment| deployment.id == *id);
        found.ok_or_else(|| Error::other(Kind::NotFound, format!("find deployment {id}")))
    }

    pub(crate) fn stateroot_dir(&self, stateroot: &str) -> Result<Dir> {
        let found = self.ostree.open_dir("deploy")?.try_open_dir(stateroot)?;
        found.ok_or_else(|| Error::other(Kind::NotFound, format!("No such stateroot: {stateroot}")))
    }
}

/// The right to change a sysroot. Others wait until it is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    pub(crate) sysroot: &'a Sysroot,
    _lock: LockFile,
}

impl Locked<'_> {
    /// The sysroot.
    #[must_use]
    pub fn sysroot(&self) -> &Sysroot {
        self.sysroot
    }

    /// Writes where a deployment came from, and what upgrades of it follow.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn write_origin(&self, id: &DeploymentId, origin: &Origin) -> Result<()> {
        let folder = self.sysroot.stateroot_dir(&id.stateroot)?.open_dir("deploy")?;
        let name = format!("{}.origin", id.dir_name());
        // Commit point: the rename within.
        Ok(atomic_write(&folder, name, origin.to_text().as_bytes(), 0o644)?)
    }
}
