//! [`Repo`]: making, opening and configuring a repository.
//!
//! ```text
//! config        key file
//! .lock         shared by writers, exclusive for prune
//! objects/XX/…  objects; their existence makes the folder a repository
//! refs/heads, refs/remotes/NAME, refs/mirrors
//! state/        markers of partial commits
//! tmp/          staging folders, caches
//! extensions/   reserved
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use updraft_error::Kind;
use updraft_fs::{Dir, LockFile, LockMode, TempFile, atomic_write, xattr};
use updraft_ostree::{KeyFile, RepoMode};
use updraft_task::Context;

use crate::config::CORE;
use crate::staging::Durable;
use crate::{Config, Error, Result};

/// The mode of the folders of a repository, less umask.
pub(crate) const DIR_MODE: u32 = 0o775;
/// Of folders of objects and refs, which are made when they are needed: the umask decides.
pub(crate) const SHARED_DIR_MODE: u32 = 0o777;
/// The largest `config` that is read.
const MAX_CONFIG_SIZE: u64 = 4 << 20;
/// Stands for waiting without end.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// An open repository. Clones share it; all threads may use it.
#[derive(Clone)]
pub struct Repo(Arc<Inner>);

struct Inner {
    path: PathBuf,
    root: Dir,
    objects: Dir,
    mode: RepoMode,
    config: RwLock<Arc<Config>>,
    /// Where objects are looked for that are not here; opened when the first one is.
    parents: OnceLock<Vec<Repo>>,
    writes_split_xattrs: AtomicBool,
}

/// What else a new repository's configuration says.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// The collection that its refs belong to.
    pub collection_id: Option<String>,
}

impl Repo {
    /// Makes a repository at `path` unless there is one of this mode, and opens it.
    pub fn init(path: impl AsRef<Path>, mode: RepoMode, options: &InitOptions) -> Result<Self> {
        let path = path.as_ref();
        let root = Dir::create_all(path, DIR_MODE)?;
        if root.exists("objects")? {
            let repo = Self::open(path)?;
            if repo.mode() == mode {
                return Ok(repo);
            }
            let message = format!(
                "make a repository of mode {mode}: {} is one of mode {} already",
                path.display(),
                repo.mode()
            );
            return Err(Error::other(Kind::Conflict, message));
        }
        if mode == RepoMode::BareUser {
            probe_user_xattrs(&root)?;
        }
        if !root.exists("config")? {
            let mut file = KeyFile::new();
            file.set(CORE, "repo_version", "1");
            file.set(CORE, "mode", mode.as_str());
            if let Some(id) = &options.collection_id {
                file.set(CORE, "collection-id", id);
            }
            atomic_write(&root, "config", file.to_string().as_bytes(), 0o644)?;
        }
        for name in ["tmp", "extensions", "state", "refs"] {
            root.ensure_dir(name, DIR_MODE)?;
        }
        for name in ["refs/heads", "refs/mirrors", "refs/remotes"] {
            root.ensure_dir(name, DIR_MODE)?;
        }
        root.ensure_dir("tmp/cache", DIR_MODE)?;
        // Commit point: from here on the folder is a repository.
        root.ensure_dir("objects", DIR_MODE)?;
        root.sync()?;
        Self::open(path)
    }

    /// Opens the repository at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let repo = Self::open_alone(path.as_ref())?;
        repo.parents()?;
        Ok(repo)
    }

    /// Opens it without a look at its parents.
    pub(crate) fn open_alone(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let missing = |source| Error::NotARepository { path: path.to_owned(), source };
        let root = Dir::open(path).map_err(missing)?;
        let objects = root.open_dir_follow("objects").map_err(missing)?;
        let config = read_config(&root, path)?;
        // Who may only read cannot make it, and does not need it.
        let _ = root.ensure_dir("tmp", DIR_MODE);
        let inner = Inner {
            path: path.to_owned(),
            root,
            objects,
            mode: config.mode,
            config: RwLock::new(Arc::new(config)),
            parents: OnceLock::new(),
            writes_split_xattrs: AtomicBool::new(false),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Permits writing files when the mode is bare-split-xattrs, which libostree does only when
    /// `OSTREE_EXP_WRITE_BARE_SPLIT_XATTRS` is set. Reading needs no permission.
    pub fn permit_split_xattrs(&self) {
        self.0.writes_split_xattrs.store(true, Ordering::Relaxed);
    }

    pub(crate) fn may_write_split_xattrs(&self) -> bool {
        self.0.writes_split_xattrs.load(Ordering::Relaxed)
    }

    /// The path it was opened at.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How it stores files.
    #[must_use]
    pub fn mode(&self) -> RepoMode {
        self.0.mode
    }

    /// Parents that were opened already.
    pub(crate) fn known_parents(&self) -> &OnceLock<Vec<Self>> {
        &self.0.parents
    }

    /// The configuration as last read.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the configuration again, lets `edit` change it, and writes it.
    ///
    /// Nothing is written when the result would not be a valid configuration.
    pub fn edit_config(&self, edit: impl FnOnce(&mut KeyFile)) -> Result<()> {
        let mut file = read_config(self.root(), self.path())?.key_file().clone();
        edit(&mut file);
        let text = file.to_string();
        let config = Config::from_key_file(file)?;
        self.replace("config", text.as_bytes(), (0o644, Durable::Yes))?;
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// The repository's folder.
    #[must_use]
    pub fn root(&self) -> &Dir {
        &self.0.root
    }

    /// The folder `objects`.
    #[must_use]
    pub fn objects_dir(&self) -> &Dir {
        &self.0.objects
    }

    /// The folder `tmp`, made when it is missing.
    pub fn tmp_dir(&self) -> Result<Dir> {
        Ok(self.root().ensure_dir("tmp", DIR_MODE)?)
    }

    /// Takes the repository's lock as libostree does: shared to write, exclusive to delete.
    /// `None` when the configuration says not to lock.
    pub fn lock(&self, ctx: &Context, mode: LockMode) -> Result<Option<LockFile>> {
        let config = self.config();
        if !config.locking {
            return Ok(None);
        }
        let timeout = config.lock_timeout.unwrap_or(FOREVER);
        let lock = LockFile::acquire(ctx, self.root(), ".lock", mode, timeout);
        ctx.check()?;
        Ok(Some(lock?))
    }
}

fn read_config(root: &Dir, path: &Path) -> Result<Config> {
    let invalid = |source| Error::Config { path: path.join("config"), source };
    let bytes = root.read("config", MAX_CONFIG_SIZE)?;
    let text = String::from_utf8_lossy(&bytes);
    Config::from_key_file(KeyFile::parse(&text).map_err(invalid)?)
}

/// Finds out whether the file system can hold what bare-user repositories need.
fn probe_user_xattrs(root: &Dir) -> Result<()> {
    let probe = TempFile::new_in(root)?;
    xattr::set(probe.file(), "user.ostreemeta", b"x").map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::OPNOTSUPP.raw_os_error() => Error::other(
            Kind::Unsupported,
            format!(
                "make a bare-user repository in {}: its file system has no user xattrs",
                root.path().display()
            ),
        ),
        _ => error.into(),
    })
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo").field("path", &self.path()).field("mode", &self.mode()).finish()
    }
}
