//! Opening and reading the files of a directory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Dir;
use crate::error::optional;
use crate::{Error, FileKind, Metadata, Result, fault};

/// Bytes of a file for which one read should do.
const SMALL: usize = 4096;

impl Dir {
    /// Opens the regular file `name` for reading. Anything else is an error: whoever opens a named
    /// pipe would wait for its writer, and a device may have no end.
    pub fn open_file(&self, name: impl AsRef<Path>) -> Result<File> {
        let name = name.as_ref();
        // Without effect on regular files.
        let file = self.open_with(name, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
        let stat = rustix::fs::fstat(&file).map_err(self.fail("look at", name))?;
        match Metadata::from(&stat).kind {
            FileKind::Regular => Ok(file),
            FileKind::Directory => Err(self.fail("open", name)(Errno::ISDIR)),
            _ => {
                let reason = io::Error::new(io::ErrorKind::InvalidData, "it is no regular file");
                Err(Error::new("open", self.path.join(name), reason))
            }
        }
    }

    /// Opens the file `name` for reading, or `None` when it does not exist.
    pub fn try_open_file(&self, name: impl AsRef<Path>) -> Result<Option<File>> {
        optional(self.open_file(name))
    }

    /// Creates the new file `name` with `mode` less umask, for reading and writing.
    pub fn create_file(&self, name: impl AsRef<Path>, mode: u32) -> Result<File> {
        self.open_with(name.as_ref(), OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode)
    }

    /// Opens the file `name` for reading and writing, creating it with `mode` less umask.
    pub fn open_or_create(&self, name: impl AsRef<Path>, mode: u32) -> Result<File> {
        self.open_with(name.as_ref(), OFlags::RDWR | OFlags::CREATE, mode)
    }

    fn open_with(&self, name: &Path, flags: OFlags, mode: u32) -> Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let writes = flags.contains(OFlags::CREATE);
        if writes { fault::check() } else { Ok(()) }
            .and_then(|()| rustix::fs::openat(self, name, flags, Mode::from_raw_mode(mode)))
            .map(File::from)
            .map_err(self.fail("open", name))
    }

    /// The whole content of the file `name`. More than `limit` bytes is an error.
    pub fn read(&self, name: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        let name = name.as_ref();
        let file = self.open_file(name)?;
        // Most are small, and a buffer that grows from nothing costs a system call each time.
        let mut bytes = Vec::with_capacity(usize::try_from(limit).map_or(SMALL, |n| n.min(SMALL)));
        let fail = |error| Error::new("read", self.path.join(name), error);
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
        if read as u64 > limit {
            return Err(fail(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                format!("file is larger than {limit} bytes"),
            )));
        }
        Ok(bytes)
    }

    /// Like [`read`](Self::read), or `None` when there is no such file.
    pub fn try_read(&self, name: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        optional(self.read(name, limit))
    }
}
