//! [`HashTree`]: the hashes that dm-verity checks blocks by, for payloads that leave them to the
//! device.
//!
//! ```text
//! level 0    SHA-256 of salt and block, for each block of data; 128 of them in a block of 4096 bytes
//! level n    the same of each block of the level below, until one block is left
//! stored     the highest level first; what is left of a block is zeros
//! ```
//! (Linux, `Documentation/admin-guide/device-mapper/verity.rst`, version 1; AOSP,
//! `build/verity/hash_tree_builder.cpp`.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};
use updraft_payload::{Extent, Partition};

use crate::computed::extent_of;

const ALGORITHM: &str = "sha256";
const HASH_LEN: u64 = 32;
/// The longest salt that dm-verity knows.
const MAX_SALT: usize = 256;

/// What hash tree the device has to make, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashTree {
    data: Extent,
    tree: Extent,
    salt: Vec<u8>,
    block_size: u64,
}

impl HashTree {
    /// The one that a payload asks for. `None`: none.
    ///
    /// # Errors
    /// What nobody can do.
    pub(crate) fn of(partition: &Partition, block_size: u64) -> Result<Option<Self>, &'static str> {
        let about = &partition.about;
        let blocks = partition.new.size / block_size;
        let Some(tree) = extent_of(about.hash_tree_extent.as_deref(), blocks)? else {
            return Ok(None);
        };
        let data = extent_of(about.hash_tree_data_extent.as_deref(), blocks)?;
        let data = data.ok_or("hash tree of nothing")?;
        let salt = about.hash_tree_salt.clone().unwrap_or_default();
        if about.hash_tree_algorithm.as_deref() != Some(ALGORITHM) || salt.len() > MAX_SALT {
            return Err(
                "hash tree by another hash than SHA-256, or with a longer salt than 256 bytes",
            );
        }
        let hash_tree = Self { data, tree, salt, block_size };
        if hash_tree.levels().iter().sum::<u64>() != tree.count {
            return Err("hash tree of another size than its data has");
        }
        Ok(Some(hash_tree))
    }

    /// How many blocks each level has, from the lowest on.
    fn levels(&self) -> Vec<u64> {
        let in_block = (self.block_size / HASH_LEN).max(2);
        let mut levels = vec![self.data.count.div_ceil(in_block)];
        while let Some(last) = levels.last().copied().filter(|last| *last > 1) {
            levels.push(last.div_ceil(in_block));
        }
        levels
    }

    /// Makes it of what the file holds.
    pub(crate) fn write(&self, file: &File) -> io::Result<()> {
        let levels = self.levels();
        let mut below = self.data;
        let mut end = self.tree.start + self.tree.count;
        for count in levels {
            // The lowest level is last.
            let level = Extent { start: end - count, count };
            self.write_level(file, below, level)?;
            (below, end) = (level, level.start);
        }
        Ok(())
    }

    fn write_level(&self, file: &File, below: Extent, level: Extent) -> io::Result<()> {
        let block_len = usize::try_from(self.block_size).unwrap_or_default();
        let mut block = vec![0; block_len];
        let mut hashes = Vec::with_capacity(block_len);
        let mut at = level.start * self.block_size;
        let salted = Sha256::new().chain_update(&self.salt);
        for index in 0..below.count {
            file.read_exact_at(&mut block, (below.start + index) * self.block_size)?;
            hashes.extend_from_slice(&salted.clone().chain_update(&block).finalize());
            if hashes.len() == block_len || index + 1 == below.count {
                hashes.resize(block_len, 0);
                updraft_fs::fault::check()?;
                file.write_all_at(&hashes, at)?;
                at += self.block_size;
                hashes.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_end_with_one_block() {
        let tree = |count: u64| HashTree {
            data: Extent { start: 0, count },
            tree: Extent { start: count, count: 0 },
            salt: Vec::new(),
            block_size: 4096,
        };
        assert_eq!(tree(1).levels(), [1]);
        assert_eq!(tree(128).levels(), [1]);
        assert_eq!(tree(129).levels(), [2, 1]);
        assert_eq!(tree(128 * 128 + 1).levels(), [129, 2, 1]);
    }
}
