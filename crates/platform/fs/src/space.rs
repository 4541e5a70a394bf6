//! How much room a file system has.

use std::os::fd::AsFd;

use crate::{Error, Result};

/// Sizes of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What an ordinary user may still fill.
    pub available: u64,
    /// The unit in which it is given out.
    pub block_size: u64,
}

/// The room on the file system that `fd` is on.
pub fn of(fd: impl AsFd) -> Result<Space> {
    let stat = rustix::fs::fstatvfs(fd)
        .map_err(|errno| Error::new("measure", "the file system", errno.into()))?;
    Ok(Space {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
        block_size: stat.f_frsize,
    })
}
