//! The one error of this crate: an operation, the path it was about, and what the system said.

use std::io;
use std::path::{Path, PathBuf};

use updraft_error::{Classify, Kind};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A file system operation did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct Error {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Error {
    /// An error of `operation` (a verb, such as `open`) on `path`.
    pub fn new(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { operation, path: path.into(), source }
    }

    /// The path the operation was about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system said.
    pub fn io_kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The system's error number, if it gave one.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether there is no such file or directory.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == io::ErrorKind::NotFound
    }

    /// Whether the name is taken already.
    pub fn is_already_exists(&self) -> bool {
        self.io_kind() == io::ErrorKind::AlreadyExists
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Classify::kind(&self.source)
    }
}

/// `Ok(None)` in place of "no such file or directory".
pub(crate) fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
