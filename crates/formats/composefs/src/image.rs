//! [`write_image`]: a tree as an EROFS image.
//!
//! ```text
//!     0  composefs header: magic, version 1, flags
//!  1024  EROFS superblock, 128 bytes
//!  1152  inodes in breadth-first order, each followed by its xattrs and its tail; aligned to 32
//!        table of the xattrs that more than one inode has
//!  4096n blocks of directories that do not fit beside their inodes
//! ```
//!
//! Made in three passes over the flattened tree: [`nodes`] decides what is in the image,
//! [`layout`] where it lies, [`write`] writes it.

mod layout;
mod nodes;
mod write;
mod xattrs;

use std::io::Write;

use crate::{Directory, Error};

/// EROFS's block size here, and overlayfs's page.
const BLOCK: u64 = 4096;
/// Inodes begin at multiples of this; their number counts it.
const SLOT: u64 = 32;
/// Where the superblock is.
const SUPERBLOCK_AT: u64 = 1024;
/// The length of the superblock.
const SUPERBLOCK_LEN: u64 = 128;

const S_IFREG: u16 = 0o100_000;
const S_IFDIR: u16 = 0o040_000;
const S_IFLNK: u16 = 0o120_000;
const S_IFCHR: u16 = 0o020_000;

/// Writes the image of a tree.
///
/// The bytes depend on the tree alone. They are those of libcomposefs's `lcfs_write_to` with
/// format EROFS and version 0 for a tree without devices.
pub fn write_image(root: Directory, output: &mut dyn Write) -> Result<(), Error> {
    let mut nodes = nodes::flatten(root)?;
    let shared = xattrs::share(&mut nodes);
    let layout = layout::arrange(&mut nodes, shared)?;
    write::image(&nodes, &layout, output)
}
