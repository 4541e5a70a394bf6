//! Where boot loaders keep what they know: parts of devices, and files that stay where they are.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use updraft_error::Kind;

use crate::{Error, Result};

/// A device, or a file in its place.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    path: PathBuf,
}

impl Medium {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size(&self) -> Result<u64> {
        let size = self.open(OpenOptions::new().read(true))?.seek(SeekFrom::End(0));
        size.map_err(Error::file("measure", &self.path))
    }

    /// So many bytes from there on.
    pub(super) fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let file = self.open(OpenOptions::new().read(true))?;
        file.read_exact_at(&mut bytes, offset).map_err(Error::file("read", &self.path))?;
        Ok(bytes)
    }

    /// All of it, which has to be within the limit.
    pub(super) fn read(&self, limit: u64) -> Result<Vec<u8>> {
        let file = self.open(OpenOptions::new().read(true))?;
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::file("read", &self.path))?;
        if bytes.len() as u64 > limit {
            let problem = format!("it has more than {limit} bytes");
            return Err(Error::boot_control(&self.path, Kind::Invalid, problem));
        }
        Ok(bytes)
    }

    /// Writes over what is there, and makes it durable.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.open(OpenOptions::new().write(true))?;
        updraft_fs::fault::check()
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all_at(bytes, offset))
            .and_then(|()| file.sync_data())
            .map_err(Error::file("write", &self.path))
    }

    /// The error of what does not follow its format.
    pub(super) fn malformed(&self, source: updraft_bootenv::Error) -> Error {
        Error::BootEnvironment { path: self.path.clone(), source }
    }

    fn open(&self, options: &OpenOptions) -> Result<File> {
        let file = options.open(&self.path).map_err(Error::file("open", &self.path))?;
        let about = file.metadata().map_err(Error::file("look at", &self.path))?;
        if about.file_type().is_char_device() {
            // Flash has to be erased, block by block, and may have bad blocks.
            let problem = "it is raw flash, and only files and block devices are known";
            return Err(Error::boot_control(&self.path, Kind::Unsupported, problem));
        }
        Ok(file)
    }
}
