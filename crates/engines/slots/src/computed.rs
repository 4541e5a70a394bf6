//! What a payload leaves to the device: hash trees and error correction, which follow from the data.

use std::fs::File;
use std::io;

use updraft_payload::messages::ExtentMessage;
use updraft_payload::{Extent, Partition};

use crate::error_correction::ErrorCorrection;
use crate::hash_tree::HashTree;

/// What the device has to make of one partition, in this order: the code is also about the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Computed {
    hash_tree: Option<HashTree>,
    error_correction: Option<ErrorCorrection>,
}

impl Computed {
    /// What a payload asks for.
    ///
    /// # Errors
    /// What nobody can do.
    pub(crate) fn of(partition: &Partition, block_size: u64) -> Result<Self, &'static str> {
        Ok(Self {
            hash_tree: HashTree::of(partition, block_size)?,
            error_correction: ErrorCorrection::of(partition, block_size)?,
        })
    }

    /// Whether there is anything to do.
    pub(crate) fn is_any(&self) -> bool {
        self.hash_tree.is_some() || self.error_correction.is_some()
    }

    /// Does it, of what the operations have written.
    pub(crate) fn write(&self, target: &File) -> io::Result<()> {
        if let Some(hash_tree) = &self.hash_tree {
            hash_tree.write(target)?;
        }
        self.error_correction.as_ref().map_or(Ok(()), |code| code.write(target))
    }
}

/// The extent of a message, within a partition of so many blocks. `None`: it is not there, or empty.
pub(crate) fn extent_of(
    message: Option<&ExtentMessage>,
    blocks: u64,
) -> Result<Option<Extent>, &'static str> {
    let Some(message) = message else { return Ok(None) };
    let (start, count) = (message.start_block.unwrap_or(0), message.num_blocks.unwrap_or(0));
    match start.checked_add(count) {
        Some(end) if end <= blocks => Ok((count > 0).then_some(Extent { start, count })),
        _ => Err("hash tree or error correction outside of it"),
    }
}
