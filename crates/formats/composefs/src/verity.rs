//! The fs-verity digest of a file.
//!
//! ```text
//! file      blocks of 4096 bytes, the last one filled up with zeroes
//! level 0   the SHA-256 of each block, one after the other, again in blocks of 4096 bytes
//! level n   the SHA-256 of each block of level n-1
//! root      the SHA-256 of the only block of the last level; of the only block of the file when
//!           it has one; 32 zeroes when it has none
//! digest    the SHA-256 of the descriptor:
//!             0  version 1          1  hash algorithm 1 (SHA-256)   2  log2 of the block size
//!             3  size of the salt   4  zeroes                       8  size of the file (LE)
//!            16  root hash, 64     80  salt, 32                   112  zeroes up to 256
//! ```
//!
//! Source: `Documentation/filesystems/fsverity.rst` of Linux.

use std::fmt;

use sha2::{Digest, Sha256};

/// The size of a block of the file and of the Merkle tree.
pub const BLOCK_SIZE: usize = 4096;
/// Its binary logarithm.
const BLOCK_BITS: u8 = 12;
/// `FS_VERITY_HASH_ALG_SHA256`.
pub(crate) const ALGORITHM_SHA256: u8 = 1;
/// The size of `struct fsverity_descriptor`.
pub(crate) const DESCRIPTOR_LEN: usize = 256;
pub(crate) const HASH_LEN: usize = 32;

/// The fs-verity digest of a file's content. Its text form is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerityDigest([u8; HASH_LEN]);

impl VerityDigest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }

    /// The digest of a file with exactly these bytes.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        let mut hasher = VerityHasher::new();
        hasher.update(data);
        hasher.finish()
    }

    /// The digest of a file with this descriptor.
    pub(crate) fn of_descriptor(descriptor: &[u8; DESCRIPTOR_LEN]) -> Self {
        Self(Sha256::digest(descriptor).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }
}

impl fmt::Display for VerityDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for VerityDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Computes a digest while the file is read once. Keeps one block for each level of the Merkle
/// tree, which are at most nine: each has 1/128 of the blocks of the one below.
#[derive(Debug, Clone, Default)]
pub struct VerityHasher {
    /// The unfinished blocks: the file's, then those of the levels of the tree. All but the
    /// last have more blocks before them.
    levels: Vec<Vec<u8>>,
    /// How many bytes the file has so far.
    size: u64,
    /// The blocks of the tree in the order in which they became complete, each with its level
    /// (1 is that of the file's blocks' hashes), where somebody wants them.
    finished: Option<Vec<(usize, Vec<u8>)>>,
}

impl VerityHasher {
    /// Begins with an empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, for who wants the tree.
    pub(crate) fn keeping_tree() -> Self {
        Self { finished: Some(Vec::new()), ..Self::default() }
    }

    /// The blocks of the tree that became complete, each with its level, since they were taken.
    pub(crate) fn take_finished(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.finished.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many bytes the file has so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next bytes of the file.
    pub fn update(&mut self, mut data: &[u8]) {
        self.size += data.len() as u64;
        while !data.is_empty() {
            self.make_room(0);
            let block = &mut self.levels[0];
            let (now, later) = data.split_at(data.len().min(BLOCK_SIZE - block.len()));
            block.extend_from_slice(now);
            data = later;
        }
    }

    /// The digest of what was added.
    #[must_use]
    pub fn finish(mut self) -> VerityDigest {
        VerityDigest::of_descriptor(&self.end())
    }

    /// Ends the tree. Gives the descriptor.
    pub(crate) fn end(&mut self) -> [u8; DESCRIPTOR_LEN] {
        let mut level = 0;
        // A level above exists only when this one had more than one block.
        while level + 1 < self.levels.len() {
            self.raise(level);
            level += 1;
        }
        let root = self.levels.last().map_or([0; HASH_LEN], |block| hash_block(block));
        self.keep(level);
        let mut descriptor = [0; DESCRIPTOR_LEN];
        descriptor[0] = 1;
        descriptor[1] = ALGORITHM_SHA256;
        descriptor[2] = BLOCK_BITS;
        descriptor[8..16].copy_from_slice(&self.size.to_le_bytes());
        descriptor[16..16 + HASH_LEN].copy_from_slice(&root);
        descriptor
    }

    /// Sees to it that the level has a block that is not full. A full block stays until more
    /// comes, because the only block of a level is the root's.
    fn make_room(&mut self, level: usize) {
        match self.levels.get(level) {
            None => self.levels.push(Vec::with_capacity(BLOCK_SIZE)),
            Some(block) if block.len() == BLOCK_SIZE => self.raise(level),
            Some(_) => {}
        }
    }

    /// Ends a block: its hash goes to the level above.
    fn raise(&mut self, level: usize) {
        let hash = hash_block(&self.levels[level]);
        self.keep(level);
        self.levels[level].clear();
        self.make_room(level + 1);
        self.levels[level + 1].extend_from_slice(&hash);
    }

    /// Puts a complete block of the tree aside for who wants it.
    fn keep(&mut self, level: usize) {
        if level > 0
            && let (Some(finished), Some(block)) = (&mut self.finished, self.levels.get(level))
        {
            let mut block = block.clone();
            block.resize(BLOCK_SIZE, 0);
            finished.push((level, block));
        }
    }
}

/// The hash of a block, filled up with zeroes.
fn hash_block(block: &[u8]) -> [u8; HASH_LEN] {
    const ZEROES: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];
    let mut hash = Sha256::new();
    hash.update(block);
    hash.update(&ZEROES[block.len().min(BLOCK_SIZE)..]);
    hash.finalize().into()
}
