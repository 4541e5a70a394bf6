//! What the kernel keeps of a sealed file: the Merkle tree and the descriptor of [`crate::verity`].
//!
//! ```text
//! root level    one block             the hashes of the blocks of the level below
//! …
//! level 1       size / 4096 / 128     the hashes of the file's blocks
//! ```
//!
//! The levels follow each other from the root's on, each in blocks of 4096 bytes. A file of one
//! block or none has no tree.
//!
//! Source: `Documentation/filesystems/fsverity.rst` of Linux.

use crate::verity::{BLOCK_SIZE, DESCRIPTOR_LEN, HASH_LEN};
use crate::{VerityDigest, VerityHasher};

/// How many hashes a block has.
const HASHES: u64 = (BLOCK_SIZE / HASH_LEN) as u64;

/// A block of a Merkle tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeBlock {
    /// Where it begins in the tree.
    pub offset: u64,
    /// All [`BLOCK_SIZE`] bytes of it.
    pub bytes: Vec<u8>,
}

/// What is known at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The last blocks of the tree.
    pub blocks: Vec<TreeBlock>,
    /// The size of the whole tree.
    pub tree_len: u64,
    /// `struct fsverity_descriptor`.
    pub descriptor: [u8; DESCRIPTOR_LEN],
    /// The file's digest: the descriptor's SHA-256.
    pub digest: VerityDigest,
}

/// The Merkle tree of a file that is read once, block by block as each becomes complete: the tree
/// of a large file is large itself.
#[derive(Debug)]
pub struct MerkleTree {
    hasher: VerityHasher,
    /// What the file's size was said to be.
    size: u64,
    /// Where the next block of each level goes; level 1 first.
    next: Vec<u64>,
    len: u64,
}

impl MerkleTree {
    /// Begins the tree of a file of this size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let mut blocks = size.div_ceil(BLOCK_SIZE as u64);
        let mut levels = Vec::new();
        while blocks > 1 {
            blocks = blocks.div_ceil(HASHES);
            levels.push(blocks * BLOCK_SIZE as u64);
        }
        // The root's level is the first in the tree.
        let mut len = 0;
        for level in levels.iter_mut().rev() {
            let begin = len;
            len += *level;
            *level = begin;
        }
        Self { hasher: VerityHasher::keeping_tree(), size, next: levels, len }
    }

    /// Adds the next bytes of the file. Gives the blocks that are complete now.
    pub fn update(&mut self, data: &[u8]) -> Vec<TreeBlock> {
        self.hasher.update(data);
        self.take()
    }

    /// The end of the file. `None` when it has another size than was said: the blocks were given
    /// wrong places.
    #[must_use]
    pub fn finish(mut self) -> Option<Seal> {
        let descriptor = self.hasher.end();
        let blocks = self.take();
        let digest = VerityDigest::of_descriptor(&descriptor);
        let tree_len = self.len;
        (self.hasher.size() == self.size).then_some(Seal { blocks, tree_len, descriptor, digest })
    }

    fn take(&mut self) -> Vec<TreeBlock> {
        let finished = self.hasher.take_finished();
        let mut blocks = Vec::with_capacity(finished.len());
        for (level, bytes) in finished {
            // There is no such level only when the file is larger than was said.
            let Some(next) = self.next.get_mut(level - 1) else { continue };
            blocks.push(TreeBlock { offset: *next, bytes });
            *next += BLOCK_SIZE as u64;
        }
        blocks
    }
}
