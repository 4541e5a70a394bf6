//! Sealing new objects by fs-verity, as the configuration wants it.

use std::sync::atomic::{AtomicBool, Ordering};

use updraft_error::Kind;
use updraft_fs::TempFile;
use updraft_fs::verity::Support;

use crate::{Error, Result, Wanted};

/// What one transaction wants, and has found out about the file system.
#[derive(Debug)]
pub(crate) struct Sealing {
    wanted: Wanted,
    /// Set by the first file that could not be sealed: the others cannot be either.
    unsupported: AtomicBool,
}

impl Sealing {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, unsupported: AtomicBool::new(false) }
    }

    /// Whether objects are sealed, as far as is known.
    pub(crate) fn is_active(&self) -> bool {
        self.wanted != Wanted::No && !self.unsupported.load(Ordering::Relaxed)
    }

    /// Seals a file that is written, unless nobody wants that.
    pub(crate) fn seal(&self, file: &mut TempFile) -> Result<()> {
        if !self.is_active() || file.seal()? == Support::Sealed {
            return Ok(());
        }
        if self.wanted == Wanted::Yes {
            let message = "seal an object: fsverity required but filesystem does not support it";
            return Err(Error::other(Kind::Unsupported, message));
        }
        self.unsupported.store(true, Ordering::Relaxed);
        Ok(())
    }
}
