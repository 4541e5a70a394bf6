//! fs-verity: files that the kernel never lets change, and whose content it vouches for.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::{Error, Result, fault, sys};

/// Whether the file system keeps fs-verity digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does, and the file has one now.
    Sealed,
    /// The file system or the kernel knows no fs-verity. The file is as it was.
    Unsupported,
}

/// Makes a file's content unchangeable and gives it its digest: SHA-256, blocks of 4096 bytes, no
/// salt. A file that has one already is as good.
///
/// The file must be open for reading only, here and everywhere.
pub fn seal(file: &File) -> Result<Support> {
    let fail = |errno: Errno| Error::new("enable fs-verity on", "(open file)", errno.into());
    fault::check().map_err(fail)?;
    match sys::enable_verity(file.as_fd()) {
        Ok(()) | Err(Errno::EXIST) => Ok(Support::Sealed),
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(Support::Unsupported),
        Err(errno) => Err(fail(errno)),
    }
}

/// The digest that the kernel vouches for, when it is one of SHA-256. It reads nothing of the
/// file.
pub fn measure(file: &File) -> Option<[u8; 32]> {
    sys::measure_verity(file.as_fd()).ok().flatten()
}
