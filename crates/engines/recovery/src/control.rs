//! [`ControlBlock`]: the message for the boot loader, in `misc`.

use updraft_bootenv::BootloaderMessage;
use updraft_error::Kind;

use crate::{BlockDevice, Error, Result};

/// The partition `misc`, whose first bytes say whether recovery starts.
pub struct ControlBlock {
    device: Box<dyn BlockDevice>,
}

impl std::fmt::Debug for ControlBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlBlock").finish_non_exhaustive()
    }
}

impl ControlBlock {
    /// The one on this device.
    #[must_use]
    pub fn new(device: Box<dyn BlockDevice>) -> Self {
        Self { device }
    }

    /// What it says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<BootloaderMessage> {
        let mut bytes = vec![0; BootloaderMessage::LEN];
        let read = self.device.read_exact_at(&mut bytes, BootloaderMessage::OFFSET);
        read.map_err(Error::file("read", "misc"))?;
        BootloaderMessage::parse(&bytes).map_err(|error| Self::bad(&error))
    }

    /// Changes it, durably when it returns. It is one write of 2048 bytes at the beginning of a block:
    /// storage that writes whole blocks has all of it, or what was there before.
    ///
    /// # Errors
    /// When it cannot be written, or does not fit.
    pub fn change(
        &self,
        change: impl FnOnce(&mut BootloaderMessage) -> Result<(), updraft_bootenv::Error>,
    ) -> Result<()> {
        let before = self.read()?;
        let mut message = before.clone();
        change(&mut message).map_err(|error| Self::bad(&error))?;
        if message == before {
            return Ok(());
        }
        let written = self.device.write_all_at(message.encode(), BootloaderMessage::OFFSET);
        written.and_then(|()| self.device.sync()).map_err(Error::file("write", "misc"))
    }

    fn bad(error: &updraft_bootenv::Error) -> Error {
        Error::Control { problem: error.to_string(), kind: Kind::Invalid }
    }
}
