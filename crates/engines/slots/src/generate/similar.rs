//! [`Similar`]: where the old image has blocks that resemble new ones, wherever they have moved.
//!
//! Of the old image's sequences of [`GRAM`] bytes a part is remembered, chosen by what they hold: the
//! new image chooses the same ones. Old blocks that share several with a new piece resemble it. No file
//! system has to be understood for that.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use updraft_delta::ReadAt as _;
use updraft_task::Context;

use super::BLOCK;

/// Bytes of a sequence: more than an instruction with its address, less than what is between two that
/// have changed.
const GRAM: usize = 13;
/// By how much a byte shifts what is known of those before it: after [`GRAM`] bytes it is gone.
const SHIFT: u32 = 5;
/// Of 32 sequences one is remembered, or fewer of a large image: so many in all, with 8 bytes each.
const MIN_BITS: u32 = 5;
const MOST: u64 = 16 << 20;
/// What is in more blocks than this says nothing.
const COMMON: usize = 8;
/// Sequences that a block has to share.
const LEAST: u32 = 2;
/// Blocks that a piece may be patched from, for each of its own, and beside.
const TIMES: usize = 3;
const BESIDE: usize = 8;
/// A block at the same place of which so large a part is equal resembles it as well, in eighths.
const EQUAL: usize = 2;

/// The remembered sequences of an old image, by their hashes.
#[derive(Debug)]
pub(super) struct Similar {
    /// Sorted by hash, then by block.
    grams: Vec<(u32, u32)>,
    bits: u32,
    blocks: u64,
}

impl Similar {
    pub(super) fn read(context: &Context, old: &File) -> io::Result<Self> {
        let size = old.size()?;
        let bits = MIN_BITS.max((size / MOST).max(1).next_power_of_two().ilog2());
        let blocks = size / BLOCK;
        let mut grams = Vec::new();
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
        // More blocks than these are 16 TiB.
        for at in 0..u32::try_from(blocks).unwrap_or(u32::MAX) {
            context.check().map_err(io::Error::other)?;
            old.read_exact_at(&mut block, u64::from(at) * BLOCK)?;
            sample(&block, bits, |gram| grams.push((gram, at)));
        }
        grams.sort_unstable();
        grams.dedup();
        Ok(Self { grams, bits, blocks })
    }

    /// The old blocks that a piece resembles, as ranges in order; none if it is new. `at` is the block
    /// at which the piece is in the new image.
    pub(super) fn find(&self, content: &[u8], at: u64, old: &File) -> io::Result<Vec<(u64, u64)>> {
        let mut votes: HashMap<u32, u32> = HashMap::new();
        sample(content, self.bits, |gram| {
            let from = self.grams.partition_point(|(other, _)| *other < gram);
            let rest = self.grams.get(from..).unwrap_or_default();
            let alike = rest.iter().take(COMMON + 1).take_while(|(other, _)| *other == gram);
            if alike.clone().count() <= COMMON {
                for (_, block) in alike {
                    *votes.entry(*block).or_default() += 1;
                }
            }
        });
        let mut found: Vec<(u32, u32)> = votes
            .into_iter()
            .filter(|(_, votes)| *votes >= LEAST)
            .map(|(block, votes)| (votes, block))
            .collect();
        // Those with most votes; of equal ones the first.
        found.sort_unstable_by_key(|(votes, block)| (std::cmp::Reverse(*votes), *block));
        let own = content.len().div_ceil(usize::try_from(BLOCK).unwrap_or(1));
        found.truncate(own * TIMES + BESIDE);
        let mut ranges: Vec<(u64, u64)> = found
            .into_iter()
            .map(|(_, block)| {
                let block = u64::from(block);
                (block.saturating_sub(1), (block + 2).min(self.blocks))
            })
            .collect();
        if self.is_alike(content, at, old)? {
            ranges.push((at, (at + own as u64).min(self.blocks)));
        }
        Ok(merged(ranges))
    }

    /// Whether the old image has something like it at the same place: tables whose numbers have changed
    /// share no sequences.
    fn is_alike(&self, content: &[u8], at: u64, old: &File) -> io::Result<bool> {
        if at >= self.blocks {
            return Ok(false);
        }
        let most = usize::try_from((self.blocks - at) * BLOCK).unwrap_or(usize::MAX);
        let content = content.get(..most).unwrap_or(content);
        let mut before = vec![0; content.len()];
        old.read_exact_at(&mut before, at * BLOCK)?;
        let counted = content.iter().zip(&before).filter(|(byte, _)| **byte != 0);
        let (all, equal) =
            counted.fold((0, 0), |(all, equal), (a, b)| (all + 1, equal + usize::from(a == b)));
        Ok(all > 0 && equal * 8 >= all * EQUAL)
    }
}

/// Ranges in order; those that meet are one.
pub(super) fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut done: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match done.last_mut() {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => done.push((from, to)),
        }
    }
    done
}

/// Gives the hashes of the sequences that are remembered.
fn sample(content: &[u8], bits: u32, mut take: impl FnMut(u32)) {
    let mut state = 0_u64;
    for (at, byte) in content.iter().enumerate() {
        let value = TABLE.get(usize::from(*byte)).copied().unwrap_or_default();
        state = (state << SHIFT).wrapping_add(value);
        if state >> (u64::BITS - bits) == 0 && at >= GRAM {
            let mixed = state.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            take(u32::try_from(mixed).unwrap_or_default());
        }
    }
}

/// Numbers without a pattern, from xorshift.
static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut at = 0;
    while at < table.len() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[allow(clippy::indexing_slicing, reason = "the compiler does it, and would refuse")]
        {
            table[at] = state;
        }
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use updraft_task::Context;

    use super::{Similar, merged};

    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_has_moved_and_changed_a_little_is_found() {
        let old = noise(64 * 4096, 7);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&old, 0).unwrap();
        let similar = Similar::read(&Context::silent(), &file).unwrap();
        // Blocks 20 to 23, moved by some bytes, with every 50th byte another.
        let mut new = old[20 * 4096 + 77..24 * 4096 + 77].to_vec();
        new.iter_mut().step_by(50).for_each(|byte| *byte ^= 1);
        let found = similar.find(&new, 3, &file).unwrap();
        let [(from, to)] = found[..] else { panic!("{found:?}") };
        assert!(from <= 20 && to >= 25 && to - from < 10, "{found:?}");
        assert_eq!(similar.find(&noise(4 * 4096, 9), 3, &file).unwrap(), []);
        // At the same place.
        let mut table = old[5 * 4096..6 * 4096].to_vec();
        table.chunks_exact_mut(8).for_each(|entry| entry[..5].fill(9));
        assert_eq!(similar.find(&table, 5, &file).unwrap(), [(5, 6)]);
        assert_eq!(similar.find(&table, 6, &file).unwrap(), []);
        assert_eq!(similar.find(&table, 64, &file).unwrap(), []);
    }

    #[test]
    fn ranges_that_meet_are_one() {
        assert_eq!(merged(vec![(5, 6), (0, 2), (2, 3), (1, 2)]), [(0, 3), (5, 6)]);
    }
}
