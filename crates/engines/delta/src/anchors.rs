//! [`find_anchors`]: long pieces of a new file that are in the old one, wherever it has them.
//!
//! Chunks that both files have lead to them; from there they go on, byte for byte, as far as both
//! agree. What is left between two of them is what really changed, so that a patch of a large file
//! with local changes, or with pieces that have moved, has to look for nothing else.

use crate::copies::{each_chunk, index_chunks};
use crate::grams::common_prefix;
use crate::random::{ReadAt, read_range};
use crate::{Error, Result};

/// Shorter pieces are found well enough by the search for close ones.
const SHORTEST: u64 = 1 << 10;
/// What is compared at first, and then at a time.
const FIRST: u64 = 4 << 10;
const THEN: u64 = 64 << 10;
/// The memory for chunks and anchors is this part of both files together: less than 32 bytes for
/// a chunk, which has some 10 KiB.
const MEMORY_DIVISOR: u64 = 256;

/// A piece that both files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Where it is in the new file.
    pub(crate) new: u64,
    /// Where it is in the old one.
    pub(crate) old: u64,
    /// Bytes.
    pub(crate) length: u64,
}

impl Anchor {
    pub(crate) fn new_end(&self) -> u64 {
        self.new + self.length
    }

    pub(crate) fn old_end(&self) -> u64 {
        self.old + self.length
    }
}

/// The memory that [`find_anchors`] takes for files of these sizes.
pub(crate) fn anchors_memory(old_size: u64, new_size: u64) -> u64 {
    old_size.saturating_add(new_size) / MEMORY_DIVISOR + 2 * THEN
}

/// Pieces that both files have, in the order of the new one; they do not overlap there.
pub(crate) fn find_anchors(old: &dyn ReadAt, new: &dyn ReadAt) -> Result<Vec<Anchor>> {
    let chunks = index_chunks(old)?;
    let mut candidates = Vec::new();
    each_chunk(new, |chunk| {
        candidates.push((chunk.offset, chunk.length as u64, chunks.get(&chunk.hash).copied()));
    })?;
    drop(chunks);
    let look = |source: &dyn ReadAt| source.size().map_err(Error::io("look at a file"));
    let pair = Pair { sizes: (look(old)?, look(new)?), old, new };
    let mut anchors: Vec<Anchor> = Vec::new();
    for (offset, length, found) in candidates {
        let last = anchors.last().copied().unwrap_or(Anchor { new: 0, old: 0, length: 0 });
        let at = offset.max(last.new_end());
        if at >= offset + length {
            continue;
        }
        // Where the region at hand goes on is better than anywhere else.
        let near = last.old_end() + (at - last.new_end());
        let elsewhere = found.map(|old| old + (at - offset)).filter(|old| *old != near);
        for from in [Some(near), elsewhere].into_iter().flatten() {
            if let Some(anchor) = pair.anchor(from, at, last.new_end())? {
                anchors.push(anchor);
                break;
            }
        }
    }
    Ok(anchors)
}

struct Pair<'a> {
    sizes: (u64, u64),
    old: &'a dyn ReadAt,
    new: &'a dyn ReadAt,
}

impl Pair<'_> {
    /// The piece around these places, which begins at `limit` in the new file or later.
    fn anchor(&self, old: u64, new: u64, limit: u64) -> Result<Option<Anchor>> {
        let forward = self.forward(old, new)?;
        if forward < SHORTEST {
            return Ok(None);
        }
        let backward = self.backward(old, new, limit)?;
        let length = backward + forward;
        Ok(Some(Anchor { new: new - backward, old: old - backward, length }))
    }

    /// How many bytes agree from here on.
    fn forward(&self, old: u64, new: u64) -> Result<u64> {
        let (mut agreeing, mut most) = (0, FIRST);
        loop {
            let (from, to) = (old + agreeing, new + agreeing);
            let left = self.sizes.0.saturating_sub(from).min(self.sizes.1.saturating_sub(to));
            let (a, b) = self.read(from, to, left.min(most))?;
            let equal = common_prefix(&a, &b);
            agreeing += equal as u64;
            if equal < a.len() || a.is_empty() {
                return Ok(agreeing);
            }
            most = THEN;
        }
    }

    /// How many bytes agree before these places, down to `limit` in the new file.
    fn backward(&self, old: u64, new: u64, limit: u64) -> Result<u64> {
        let (mut agreeing, mut most) = (0, FIRST);
        loop {
            let left = (old - agreeing).min((new - agreeing).saturating_sub(limit)).min(most);
            let (from, to) = (old - agreeing - left, new - agreeing - left);
            let (a, b) = self.read(from, to, left)?;
            let equal = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
            agreeing += equal as u64;
            if equal < a.len() || a.is_empty() {
                return Ok(agreeing);
            }
            most = THEN;
        }
    }

    fn read(&self, old: u64, new: u64, length: u64) -> Result<(Vec<u8>, Vec<u8>)> {
        // Never more than THEN.
        let length = usize::try_from(length).unwrap_or(0);
        let read = |source, at| read_range(source, at, length).map_err(Error::io("read a file"));
        Ok((read(self.old, old)?, read(self.new, new)?))
    }
}

#[cfg(test)]
mod tests {
    use super::find_anchors;

    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    }

    /// The bytes of the new file that lie in no anchor.
    fn left(old: &Vec<u8>, new: &Vec<u8>) -> u64 {
        let (mut at, mut left) = (0, 0);
        for anchor in find_anchors(old, new).unwrap() {
            assert!(anchor.new >= at && anchor.length > 0);
            let place = |at: u64, bytes: &[u8]| {
                let at = usize::try_from(at).unwrap();
                bytes[at..at + usize::try_from(anchor.length).unwrap()].to_vec()
            };
            assert!(place(anchor.old, old) == place(anchor.new, new), "{anchor:?}");
            left += anchor.new - at;
            at = anchor.new_end();
        }
        left + new.len() as u64 - at
    }

    #[test]
    fn only_what_changed_is_left() {
        let old = noise(3 << 20, 1);
        assert_eq!(left(&old, &old), 0);
        assert_eq!(left(&old, &Vec::new()), 0);
        assert_eq!(left(&Vec::new(), &old), 3 << 20);
        // Replaced, inserted and removed.
        let mut new = old.clone();
        new[500_000] ^= 1;
        new.splice(1_000_000..1_000_000, noise(70, 2));
        new.drain(2_000_000..2_000_900);
        assert!(left(&old, &new) <= 71);
        // Moved.
        let new = [&old[1_000_000..2_000_000], &old[..1_000_000], &old[2_000_000..]].concat();
        assert_eq!(left(&old, &new), 0);
    }

    #[test]
    fn what_is_many_times_there_goes_on_where_it_was() {
        let block = noise(20_000, 3);
        let old = block.repeat(40);
        let mut new = old.clone();
        for at in (10_000..new.len()).step_by(30_000) {
            new[at] ^= 1;
        }
        let anchors = find_anchors(&old, &new).unwrap();
        assert!(anchors.iter().all(|anchor| anchor.old == anchor.new), "{anchors:?}");
        assert_eq!(find_anchors(&vec![0; 1 << 20], &vec![0; 3 << 20]).unwrap().len(), 3);
    }
}
