//! [`TempFile`]: content that has no name until it is complete.
//!
//! Where the file system knows `O_TMPFILE` the file has no name at all and vanishes with its
//! handle; elsewhere it has a name that starts with `.updraft-tmp-` and is removed on drop.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::verity::{self, Support};
use crate::{Dir, Error, Result, fault};

/// How often another name is tried when a temporary one is taken.
const NAME_ATTEMPTS: u32 = 1000;

/// A file being written, without its final name.
#[derive(Debug)]
pub struct TempFile {
    file: File,
    dir: Dir,
    /// Set when the file system could not do without a name.
    name: Option<PathBuf>,
}

impl TempFile {
    /// How the names of temporary files begin, for whoever cleans up after a crash.
    pub const NAME_PREFIX: &str = ".updraft-tmp-";

    /// A new empty file in the file system of `dir`, with mode 0600.
    pub fn new_in(dir: &Dir) -> Result<Self> {
        let fail = |errno: Errno| Error::new("create a file in", dir.path(), errno.into());
        fault::check().map_err(fail)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, ".", flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: fd.into(), dir: dir.clone(), name: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                Self::new_named(dir)
            }
            Err(errno) => Err(fail(errno)),
        }
    }

    fn new_named(dir: &Dir) -> Result<Self> {
        let (file, name) = with_fresh_name(|name| dir.create_file(name, 0o600))?;
        Ok(Self { file, dir: dir.clone(), name: Some(name) })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The open file.
    pub fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Sets the permission bits, whatever the umask.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        fault::check()
            .and_then(|()| rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode & 0o7777)))
            .map_err(|errno| self.fail("set the mode of", errno))
    }

    /// Sets owner and group.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        fault::check()
            .and_then(|()| rustix::fs::fchown(&self.file, Some(uid), Some(gid)))
            .map_err(|errno| self.fail("set the owner of", errno))
    }

    /// Seals the content by fs-verity, where the file system knows it. Nothing can be written
    /// afterwards; owner, mode, xattrs and name can still be given.
    pub fn seal(&mut self) -> Result<Support> {
        // The kernel seals only what nobody has open for writing, so the handle is exchanged.
        let proc = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let reader = rustix::fs::openat(CWD, proc, flags, Mode::empty())
            .map_err(|errno| self.fail("open", errno))?;
        self.file = reader.into();
        verity::seal(&self.file)
    }

    /// Makes the content durable.
    pub fn sync(&self) -> Result<()> {
        fault::check()
            .and_then(|()| rustix::fs::fsync(&self.file))
            .map_err(|errno| self.fail("sync", errno))
    }

    /// Gives the file its name; `false` and no change when the name is taken.
    ///
    /// Neither the content nor the name is durable by that: call [`sync`](Self::sync) before
    /// and [`Dir::sync`] after, or one [`Dir::syncfs`] for many files.
    pub fn persist_new(mut self, dir: &Dir, name: impl AsRef<Path>) -> Result<bool> {
        let name = name.as_ref();
        let linked = match self.name.take() {
            None => self.link(dir, name),
            Some(temporary) => {
                let renamed = self.dir.rename_new(&temporary, dir, name);
                if renamed.is_err() {
                    self.name = Some(temporary);
                }
                renamed
            }
        };
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the file its name, replacing what has it. Durability as in
    /// [`persist_new`](Self::persist_new).
    pub fn persist_replace(mut self, dir: &Dir, name: impl AsRef<Path>) -> Result<()> {
        // A file without a name cannot replace one: it gets a temporary name first.
        if self.name.is_none() {
            let ((), temporary) = with_fresh_name(|temporary| self.link(&self.dir, temporary))?;
            self.name = Some(temporary);
        }
        if let Some(temporary) = &self.name {
            self.dir.rename(temporary, dir, name)?;
            self.name = None;
        }
        Ok(())
    }

    fn link(&self, dir: &Dir, name: &Path) -> Result<()> {
        let fail = |errno: Errno| Error::new("link", dir.path().join(name), errno.into());
        fault::check().map_err(fail)?;
        // Linking the handle itself needs CAP_DAC_READ_SEARCH; without it the answer is ENOENT.
        match rustix::fs::linkat(&self.file, "", dir, name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT) => {
                let proc = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, proc, dir, name, AtFlags::SYMLINK_FOLLOW).map_err(fail)
            }
            other => other.map_err(fail),
        }
    }

    fn fail(&self, operation: &'static str, errno: Errno) -> Error {
        Error::new(operation, self.dir.path().join("(temporary file)"), errno.into())
    }
}

/// Calls `create` with fresh names until one is free.
fn with_fresh_name<T>(mut create: impl FnMut(&Path) -> Result<T>) -> Result<(T, PathBuf)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut attempt = 0;
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name =
            PathBuf::from(format!("{}{}-{number}", TempFile::NAME_PREFIX, std::process::id()));
        match create(&name) {
            Ok(value) => return Ok((value, name)),
            Err(error) if error.is_already_exists() && attempt < NAME_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// A name that no file in `dir` has, made by `create`, for things other than files.
pub(crate) fn fresh_name<T>(create: impl FnMut(&Path) -> Result<T>) -> Result<PathBuf> {
    with_fresh_name(create).map(|(_, name)| name)
}

impl Write for TempFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        fault::check()?;
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl AsFd for TempFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // Nothing depends on it: what stays behind is a file that nobody looks at.
            let _ = self.dir.unlink(name);
        }
    }
}
