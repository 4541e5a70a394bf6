//! Hash trees of dm-verity that a list leaves to the device, over blocks in the order of the list.

use std::io;

use sha2::{Digest as _, Sha256};
use updraft_payload::RangeSet;
use updraft_payload::transfer_list::TRANSFER_BLOCK;

use super::data::sha1;
use crate::BlockDevice;

const BLOCK: usize = 4096;
/// The most blocks of a tree: it is made in memory. Enough for partitions of 8 GiB.
const MAX_TREE: u64 = (64 << 20) / TRANSFER_BLOCK;

/// Whether the tree fits, and its hash is known.
pub(super) fn check(tree: &RangeSet, data: &RangeSet, algorithm: &str) -> Result<(), &'static str> {
    let length = match algorithm {
        "sha256" => 32,
        "sha1" => 20_u64.next_power_of_two(),
        _ => return Err("its hash tree is by another hash than SHA-1 and SHA-256"),
    };
    let in_block = TRANSFER_BLOCK / length;
    let mut level = data.blocks().div_ceil(in_block);
    let mut blocks = level;
    while level > 1 {
        level = level.div_ceil(in_block);
        blocks += level;
    }
    if tree.blocks() != blocks || blocks > MAX_TREE || tree.overlaps(data) {
        return Err("its hash tree has another size than its data needs, or over 64 MiB");
    }
    Ok(())
}

/// The tree, highest level first, and its root.
pub(super) fn make(
    device: &dyn BlockDevice,
    data: &RangeSet,
    algorithm: &str,
    salt: &[u8],
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let hash = |block: &[u8]| -> Vec<u8> {
        if algorithm == "sha256" {
            return Sha256::new().chain_update(salt).chain_update(block).finalize().to_vec();
        }
        sha1(&[salt, block].concat()).to_vec()
    };
    // Each hash has a place whose size is a power of two.
    let padded = |mut hash: Vec<u8>| {
        hash.resize(hash.len().next_power_of_two(), 0);
        hash
    };
    let whole = |mut level: Vec<u8>| {
        level.resize(level.len().next_multiple_of(BLOCK), 0);
        level
    };
    let mut lowest = Vec::new();
    let mut block = vec![0; BLOCK];
    for index in data.ranges().iter().cloned().flatten() {
        device.read_exact_at(&mut block, index * TRANSFER_BLOCK)?;
        lowest.extend(padded(hash(&block)));
    }
    let mut levels = vec![whole(lowest)];
    while let Some(last) = levels.last().filter(|last| last.len() > BLOCK) {
        let above = last.chunks(BLOCK).flat_map(|block| padded(hash(block))).collect();
        levels.push(whole(above));
    }
    let root = levels.last().map(|top| hash(top)).unwrap_or_default();
    levels.reverse();
    Ok((levels.concat(), root))
}
