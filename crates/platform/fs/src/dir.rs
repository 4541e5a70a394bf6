//! [`Dir`]: a directory handle; every path below is relative to it.

mod files;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::error::optional;
use crate::{Error, Metadata, Result, fault};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open directory. Clones share the handle.
///
/// Names given to the methods are relative to it and may have several components; the last one
/// is never followed when it is a symbolic link, unless the method says so.
#[derive(Debug, Clone)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    path: Arc<Path>,
}

impl Dir {
    /// Opens `path`, following symbolic links.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())
            .map(|fd| Self::from_fd(fd, path))
            .map_err(|errno| Error::new("open directory", path, errno.into()))
    }

    /// Creates `path` and its missing parents with `mode` (less umask), then opens it.
    pub fn create_all(path: impl AsRef<Path>, mode: u32) -> Result<Self> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let name = path
            .file_name()
            .ok_or_else(|| Error::new("create directory", path, Errno::INVAL.into()))?;
        let parent = Self::create_all(parent.unwrap_or(Path::new(".")), mode)?;
        parent.ensure_dir(name, mode)?;
        Self::open(path)
    }

    /// Takes over an open directory; `path` is used in messages only.
    pub fn from_fd(fd: OwnedFd, path: impl Into<PathBuf>) -> Self {
        Self { fd: Arc::new(fd), path: path.into().into() }
    }

    /// The path this was opened as; it may have been renamed since.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fail(&self, operation: &'static str, name: &Path) -> impl FnOnce(Errno) -> Error {
        move |errno| Error::new(operation, self.path.join(name), errno.into())
    }

    /// Opens the directory `name`. A symbolic link is refused.
    pub fn open_dir(&self, name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref();
        rustix::fs::openat(self, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            .map(|fd| Self::from_fd(fd, self.path.join(name)))
            .map_err(self.fail("open directory", name))
    }

    /// Opens the directory `name`, following symbolic links.
    pub fn open_dir_follow(&self, name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref();
        rustix::fs::openat(self, name, DIRECTORY, Mode::empty())
            .map(|fd| Self::from_fd(fd, self.path.join(name)))
            .map_err(self.fail("open directory", name))
    }

    /// Opens the directory `name`, or `None` when it does not exist.
    pub fn try_open_dir(&self, name: impl AsRef<Path>) -> Result<Option<Self>> {
        optional(self.open_dir(name))
    }

    /// Creates the directory `name` with `mode` less umask.
    pub fn create_dir(&self, name: impl AsRef<Path>, mode: u32) -> Result<()> {
        let name = name.as_ref();
        fault::check()
            .and_then(|()| rustix::fs::mkdirat(self, name, Mode::from_raw_mode(mode)))
            .map_err(self.fail("create directory", name))
    }

    /// Creates the directory `name` with `mode` less umask unless it exists, and opens it.
    pub fn ensure_dir(&self, name: impl AsRef<Path>, mode: u32) -> Result<Self> {
        let name = name.as_ref();
        match self.create_dir(name, mode) {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => self.open_dir_follow(name),
        }
    }

    /// Like [`ensure_dir`](Self::ensure_dir) for every component of `path`.
    pub fn ensure_dir_all(&self, path: impl AsRef<Path>, mode: u32) -> Result<Self> {
        path.as_ref().components().try_fold(self.clone(), |dir, part| dir.ensure_dir(part, mode))
    }

    /// The target of the symbolic link `name`.
    pub fn read_link(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let name = name.as_ref();
        rustix::fs::readlinkat(self, name, Vec::new())
            .map(|target| PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))
            .map_err(self.fail("read link", name))
    }

    /// Creates the symbolic link `name` that points to `target`.
    pub fn symlink(&self, target: impl AsRef<Path>, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        fault::check()
            .and_then(|()| rustix::fs::symlinkat(target.as_ref(), self, name))
            .map_err(self.fail("create symbolic link", name))
    }

    /// Gives the file `name` of `source` the further name `new` here.
    pub fn link(&self, source: &Self, name: impl AsRef<Path>, new: impl AsRef<Path>) -> Result<()> {
        let new = new.as_ref();
        fault::check()
            .and_then(|()| rustix::fs::linkat(source, name.as_ref(), self, new, AtFlags::empty()))
            .map_err(self.fail("link", new))
    }

    /// Renames `name` to `new` in `target`, replacing what is there.
    pub fn rename(
        &self,
        name: impl AsRef<Path>,
        target: &Self,
        new: impl AsRef<Path>,
    ) -> Result<()> {
        self.rename_with(name.as_ref(), target, new.as_ref(), RenameFlags::empty())
    }

    /// Renames `name` to `new` in `target`; fails when `new` exists.
    pub fn rename_new(
        &self,
        name: impl AsRef<Path>,
        target: &Self,
        new: impl AsRef<Path>,
    ) -> Result<()> {
        self.rename_with(name.as_ref(), target, new.as_ref(), RenameFlags::NOREPLACE)
    }

    /// Swaps `name` and `other` of `target` in one step; both must exist.
    pub fn exchange(
        &self,
        name: impl AsRef<Path>,
        target: &Self,
        other: impl AsRef<Path>,
    ) -> Result<()> {
        self.rename_with(name.as_ref(), target, other.as_ref(), RenameFlags::EXCHANGE)
    }

    fn rename_with(&self, name: &Path, target: &Self, new: &Path, how: RenameFlags) -> Result<()> {
        fault::check()
            .and_then(|()| {
                if how.is_empty() {
                    rustix::fs::renameat(self, name, target, new)
                } else {
                    rustix::fs::renameat_with(self, name, target, new, how)
                }
            })
            .map_err(target.fail("rename to", new))
    }

    /// Removes the file or symbolic link `name`.
    pub fn unlink(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        fault::check()
            .and_then(|()| rustix::fs::unlinkat(self, name, AtFlags::empty()))
            .map_err(self.fail("remove", name))
    }

    /// Removes the file `name`; says whether there was one.
    pub fn try_unlink(&self, name: impl AsRef<Path>) -> Result<bool> {
        optional(self.unlink(name)).map(|removed| removed.is_some())
    }

    /// Removes the empty directory `name`.
    pub fn remove_dir(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        fault::check()
            .and_then(|()| rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR))
            .map_err(self.fail("remove directory", name))
    }

    /// What `name` is; a symbolic link is not followed.
    pub fn metadata(&self, name: impl AsRef<Path>) -> Result<Metadata> {
        let name = name.as_ref();
        rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| Metadata::from(&stat))
            .map_err(self.fail("look at", name))
    }

    /// What `name` is, or `None` when it does not exist.
    pub fn try_metadata(&self, name: impl AsRef<Path>) -> Result<Option<Metadata>> {
        let name = name.as_ref();
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Metadata::from(&stat))),
            // Whoever stores objects asks for each whether it is there: no error is made of that.
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.fail("look at", name)(errno)),
        }
    }

    /// What the directory itself is.
    pub fn own_metadata(&self) -> Result<Metadata> {
        rustix::fs::fstat(self)
            .map(|stat| Metadata::from(&stat))
            .map_err(self.fail("look at", Path::new("")))
    }

    /// Whether `name` exists; a dangling symbolic link does.
    pub fn exists(&self, name: impl AsRef<Path>) -> Result<bool> {
        Ok(self.try_metadata(name)?.is_some())
    }

    /// Sets the permission bits of `name`, which must not be a symbolic link.
    pub fn chmod(&self, name: impl AsRef<Path>, mode: u32) -> Result<()> {
        let name = name.as_ref();
        fault::check()
            .and_then(|()| {
                let mode = Mode::from_raw_mode(mode & 0o7777);
                rustix::fs::chmodat(self, name, mode, AtFlags::empty())
            })
            .map_err(self.fail("set the mode of", name))
    }

    /// Sets the permission bits of the directory itself.
    pub fn chmod_self(&self, mode: u32) -> Result<()> {
        fault::check()
            .and_then(|()| rustix::fs::fchmod(self, Mode::from_raw_mode(mode & 0o7777)))
            .map_err(self.fail("set the mode of", Path::new("")))
    }

    /// Sets owner and group of `name` itself, even if it is a symbolic link.
    pub fn chown(&self, name: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
        let name = name.as_ref();
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        fault::check()
            .and_then(|()| {
                rustix::fs::chownat(self, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            })
            .map_err(self.fail("set the owner of", name))
    }

    /// Sets owner and group of the directory itself.
    pub fn chown_self(&self, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        fault::check()
            .and_then(|()| rustix::fs::fchown(self, Some(uid), Some(gid)))
            .map_err(self.fail("set the owner of", Path::new("")))
    }

    /// Sets access and modification time of `name` itself to `seconds` since 1970.
    pub fn set_mtime(&self, name: impl AsRef<Path>, seconds: i64) -> Result<()> {
        let name = name.as_ref();
        fault::check()
            .and_then(|()| {
                rustix::fs::utimensat(self, name, &times(seconds), AtFlags::SYMLINK_NOFOLLOW)
            })
            .map_err(self.fail("set the time of", name))
    }

    /// Gives `to` the modification time of `from`, as access time, too, to the nanosecond.
    pub fn copy_mtime(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let Metadata { mtime, mtime_nanos, .. } = self.metadata(from)?;
        let time = Timespec { tv_sec: mtime, tv_nsec: mtime_nanos.into() };
        let both = Timestamps { last_access: time, last_modification: time };
        let to = to.as_ref();
        fault::check()
            .and_then(|()| rustix::fs::utimensat(self, to, &both, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(self.fail("set the time of", to))
    }

    /// Sets access and modification time of the directory to `seconds` since 1970.
    pub fn set_own_mtime(&self, seconds: i64) -> Result<()> {
        fault::check()
            .and_then(|()| rustix::fs::futimens(self, &times(seconds)))
            .map_err(self.fail("set the time of", Path::new("")))
    }

    /// Sets access and modification time of the directory to now, as the kernel sees it.
    pub fn touch_self(&self) -> Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let both = Timestamps { last_access: now, last_modification: now };
        fault::check()
            .and_then(|()| rustix::fs::futimens(self, &both))
            .map_err(self.fail("set the time of", Path::new("")))
    }

    /// Makes the names in this directory durable (`fsync` of the directory).
    pub fn sync(&self) -> Result<()> {
        fault::check()
            .and_then(|()| rustix::fs::fsync(self))
            .map_err(self.fail("sync", Path::new("")))
    }

    /// Makes everything on this directory's file system durable.
    pub fn syncfs(&self) -> Result<()> {
        fault::check()
            .and_then(|()| rustix::fs::syncfs(self))
            .map_err(self.fail("sync the file system of", Path::new("")))
    }

    /// Sets or clears the immutable flag of the directory, which keeps even root from changing
    /// its entries. File systems and users without this flag are left as they are.
    pub fn set_immutable(&self, immutable: Immutable) -> Result<()> {
        use rustix::fs::IFlags;
        let wanted = |mut flags: IFlags| {
            flags.set(IFlags::IMMUTABLE, immutable == Immutable::Yes);
            flags
        };
        let changed = rustix::fs::ioctl_getflags(self).and_then(|flags| {
            if wanted(flags) == flags {
                Ok(())
            } else {
                rustix::fs::ioctl_setflags(self, wanted(flags))
            }
        });
        match changed {
            Ok(()) | Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::PERM | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(self.fail("set the flags of", Path::new(""))(errno)),
        }
    }

    /// `/proc/self/fd/N/NAME`: for the system calls that know no directory handles.
    pub(crate) fn proc_path(&self, name: &Path) -> PathBuf {
        let fd = PathBuf::from(format!("/proc/self/fd/{}", self.as_raw_fd()));
        if name.as_os_str().is_empty() { fd } else { fd.join(name) }
    }
}

/// Whether a directory's entries may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Immutable {
    /// Nobody may change the entries.
    Yes,
    /// Whoever has the permission may.
    No,
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Dir {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
