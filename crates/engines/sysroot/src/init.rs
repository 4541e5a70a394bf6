//! Making sysroots and stateroots.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_ostree::RepoMode;
use updraft_repo::{InitOptions, Repo};

use crate::{Error, Locked, Result, Sysroot};

/// Which directories a new sysroot gets, as `ostree admin init-fs --epoch` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InitEpoch {
    /// 0: also `dev home proc run sys root tmp`, for a physical root that is used as it is.
    Legacy,
    /// 1: only `boot` and `ostree`.
    #[default]
    Modern,
    /// 2: as 1, with `ostree` for root only.
    Private,
}

impl Sysroot {
    /// Makes a sysroot at `path`, which is created when it does not exist. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Fs`], [`Error::Repo`].
    pub fn init(path: impl AsRef<Path>, epoch: InitEpoch) -> Result<Self> {
        let path = path.as_ref();
        let root = Dir::create_all(path, 0o755)?;
        if epoch == InitEpoch::Legacy {
            for name in ["dev", "home", "proc", "run", "sys"] {
                root.ensure_dir(name, 0o755)?;
            }
            root.ensure_dir("root", 0o700)?;
            root.ensure_dir("tmp", 0o1777)?.chmod_self(0o1777)?;
        }
        root.ensure_dir("boot", 0o755)?;
        let ostree_mode = if epoch == InitEpoch::Private { 0o700 } else { 0o755 };
        let ostree = root.ensure_dir("ostree", ostree_mode)?;
        ostree.ensure_dir("deploy", 0o755)?;
        Repo::init(path.join("ostree/repo"), RepoMode::Bare, &InitOptions::default())?;
        Self::open(path)
    }
}

impl Locked<'_> {
    /// Makes a stateroot: a name under which deployments share `/var`. Its `var` is empty; the
    /// first deployment fills it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it exists; [`Kind::Invalid`] for a name that is no file name.
    pub fn init_stateroot(&self, name: &str) -> Result<()> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0', ' ', '\n']) {
            return Err(Error::other(Kind::Invalid, format!("Invalid stateroot name '{name}'")));
        }
        let deploy = self.sysroot.ostree.ensure_dir("deploy", 0o755)?;
        deploy.create_dir(name, 0o755)?;
        let stateroot = deploy.open_dir(name)?;
        stateroot.create_dir("var", 0o755)?;
        stateroot.sync()?;
        deploy.sync()?;
        Ok(())
    }

    /// Whether a stateroot of this name exists.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn has_stateroot(&self, name: &str) -> Result<bool> {
        let deploy = self.sysroot.ostree.try_open_dir("deploy")?;
        Ok(deploy.map(|deploy| deploy.exists(name)).transpose()?.unwrap_or(false))
    }
}
