//! Where each inode, its tail and its blocks lie.

use super::nodes::{Content, Inode};
use super::xattrs::{self, Shared};
use super::{BLOCK, SLOT, SUPERBLOCK_AT, SUPERBLOCK_LEN};
use crate::Error;

/// `log2` of the block size.
const BLOCK_BITS: u32 = 12;
/// The largest chunk of a file: the format has 5 bits for how much larger than a block it is.
const MAX_CHUNK_BITS: u32 = BLOCK_BITS + 31;
/// The length of an entry of a directory, without its name.
pub(super) const DIRENT_LEN: u64 = 12;
const COMPACT_LEN: u64 = 32;
const EXTENDED_LEN: u64 = 64;

/// Where an inode lies and what follows it there.
#[derive(Default, Clone, Copy)]
pub(super) struct Place {
    /// Bytes from the beginning of the image.
    pub(super) at: u64,
    /// Whether the 32-byte form holds it.
    pub(super) compact: bool,
    /// What is stored right behind the inode and its xattrs.
    pub(super) tail: u64,
    /// Blocks elsewhere (directories only).
    pub(super) blocks: u64,
    /// The first of them, counted from the beginning of the image.
    pub(super) first_block: u64,
}

/// The parts of the image.
pub(super) struct Layout {
    /// Where the inodes end and the table of shared xattrs begins.
    pub(super) inodes_end: u64,
    pub(super) shared: Shared,
    /// Where the blocks of directories begin.
    pub(super) blocks_at: u64,
    /// The size of the image in blocks.
    pub(super) block_count: u32,
}

impl Place {
    /// The number that directories refer to it by.
    pub(super) fn number(&self) -> u64 {
        // The metadata area begins with block 0.
        self.at / SLOT
    }
}

/// Gives each inode its place.
pub(super) fn arrange(inodes: &mut [Inode], shared: Shared) -> Result<Layout, Error> {
    let mut end = SUPERBLOCK_AT + SUPERBLOCK_LEN;
    for inode in inodes.iter_mut() {
        inode.place = place(inode, end.next_multiple_of(SLOT))?;
        end = inode.place.at + inode.len();
    }
    let inodes_end = end.next_multiple_of(SLOT);
    let blocks_at = (inodes_end + shared.bytes.len() as u64).next_multiple_of(BLOCK);
    let mut next_block = blocks_at / BLOCK;
    for place in inodes.iter_mut().map(|inode| &mut inode.place).filter(|it| it.blocks > 0) {
        place.first_block = next_block;
        next_block += place.blocks;
    }
    let block_count = u32::try_from(next_block).map_err(|_| Error::TooLarge)?;
    Ok(Layout { inodes_end, shared, blocks_at, block_count })
}

impl Inode {
    /// Without xattrs and tail.
    fn head_len(&self) -> u64 {
        if self.place.compact { COMPACT_LEN } else { EXTENDED_LEN }
    }

    fn len(&self) -> u64 {
        self.head_len() + xattrs::len(&self.xattrs) + self.place.tail
    }

    /// Its size as `stat` shows it.
    pub(super) fn size(&self) -> u64 {
        match &self.content {
            Content::File(size) => *size,
            Content::Directory(_) | Content::Symlink(_) => {
                self.place.blocks * BLOCK + self.place.tail
            }
            Content::Whiteout => 0,
        }
    }

    fn fits_compact(&self) -> bool {
        let limit = u32::from(u16::MAX);
        self.links <= limit
            && self.uid <= limit
            && self.gid <= limit
            && u32::try_from(self.size()).is_ok()
    }
}

/// The place of an inode that begins at `at` or a little later. `end` is aligned.
fn place(inode: &mut Inode, at: u64) -> Result<Place, Error> {
    let (blocks, tail) = amount(&inode.content);
    inode.place = Place { tail, blocks, ..Place::default() };
    inode.place.compact = inode.fits_compact();
    let mut place = Place { at, ..inode.place };
    let head = inode.head_len() + xattrs::len(&inode.xattrs);
    if matches!(inode.content, Content::Symlink(_)) {
        // The kernel reads an inline link together with its inode: both must be in one block.
        if at / BLOCK != (at + head + tail - 1) / BLOCK {
            place.at = at.next_multiple_of(BLOCK);
        }
    } else if left_of_block(at + head) < tail {
        // A tail must not cross a block. Move the inode up so that the tail begins with one.
        let moved = at + left_of_block(at + head).next_multiple_of(SLOT);
        if tail <= left_of_block(moved + head) {
            place.at = moved;
        } else {
            // The rounding moved it too far.
            place.tail = 0;
            place.blocks += 1;
        }
    }
    let start = place.at + head;
    let split = place.tail > 0 && start / BLOCK != (start + place.tail - 1) / BLOCK;
    if split || (place.blocks > 0 && !matches!(inode.content, Content::Directory(_))) {
        return Err(Error::TooLarge);
    }
    Ok(place)
}

/// What is left of the block after this place; a whole block at its beginning.
fn left_of_block(at: u64) -> u64 {
    BLOCK - at % BLOCK
}

/// The blocks and the tail of something.
fn amount(content: &Content) -> (u64, u64) {
    match content {
        Content::Directory(names) => {
            let runs = split(names);
            let last: u64 = runs.last().map_or(0, |run| run.iter().map(dirent_len).sum());
            let before = runs.len().saturating_sub(1) as u64;
            // More than half a block is not worth packing.
            if last > BLOCK / 2 { (before + 1, 0) } else { (before, last) }
        }
        Content::Symlink(target) => (0, target.len() as u64),
        Content::File(0) | Content::Whiteout => (0, 0),
        Content::File(size) => (0, 4 * size.div_ceil(1 << chunk_bits(*size))),
    }
}

/// How large the chunks of a file are: so that there is one, when that can be.
pub(super) fn chunk_bits(size: u64) -> u32 {
    let bits = size.saturating_sub(1).max(1).ilog2() + 1;
    bits.clamp(BLOCK_BITS, MAX_CHUNK_BITS)
}

/// `chunk_bits` as an inode says it.
pub(super) fn chunk_format(size: u64) -> u32 {
    chunk_bits(size) - BLOCK_BITS
}

/// The names of a directory in runs that fit into one block each.
pub(super) fn split(names: &[(Vec<u8>, usize)]) -> Vec<&[(Vec<u8>, usize)]> {
    let mut runs = Vec::new();
    let (mut first, mut used) = (0, 0);
    for (index, name) in names.iter().enumerate() {
        if used + dirent_len(name) > BLOCK {
            runs.push(&names[first..index]);
            (first, used) = (index, 0);
        }
        used += dirent_len(name);
    }
    runs.push(&names[first..]);
    runs
}

fn dirent_len((name, _): &(Vec<u8>, usize)) -> u64 {
    DIRENT_LEN + name.len() as u64
}
