//! [`BlockDevice`]: what is written to. Tests put one in its place that forgets what was not synced.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::FallocateFlags;

use crate::{Error, Result};

/// A partition, or a file in its place.
pub trait BlockDevice: Send + Sync {
    /// How many bytes it has.
    ///
    /// # Errors
    /// What the system said.
    fn size(&self) -> io::Result<u64>;

    /// Fills the buffer from this byte on.
    ///
    /// # Errors
    /// What the system said.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes from this byte on. Nothing of it is durable before [`sync`](Self::sync).
    ///
    /// # Errors
    /// What the system said.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Says that nobody needs what is there; whoever reads it gets anything.
    ///
    /// # Errors
    /// What the system said.
    fn erase(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Returns when all that was written will be there after a power cut.
    ///
    /// # Errors
    /// What the system said.
    fn sync(&self) -> io::Result<()>;
}

/// A device or a file of the system.
#[derive(Debug)]
pub struct FileDevice(File);

impl FileDevice {
    /// Opens what is there already.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        Ok(Self(file.map_err(Error::file("open", path))?))
    }
}

impl BlockDevice for FileDevice {
    fn size(&self) -> io::Result<u64> {
        (&self.0).seek(SeekFrom::End(0))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        updraft_fs::fault::check()?;
        self.0.write_all_at(bytes, offset)
    }

    fn erase(&self, offset: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.0, flags, offset, length) {
            // What is there is of no consequence: a device that cannot forget keeps it.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NODEV) => Ok(()),
            result => Ok(result?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
