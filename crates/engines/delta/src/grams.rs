//! [`GramIndex`]: where in the old content some new bytes may come from.
//!
//! Every eight bytes of the old content are found by their hash. Sorting all suffixes, as bsdiff
//! does, finds the very longest match; for patches of the same size that takes twice the time.

/// The bytes that a match has at least.
pub(crate) const GRAM: usize = 8;
/// Of equal grams only the last ones are looked at: some are everywhere.
const MAX_CANDIDATES: usize = 16;
/// Where a match goes on is found by itself, so it need not be measured to its end.
const MAX_MATCH: usize = 4096;
const NOWHERE: u32 = u32::MAX;
const MIN_BITS: u32 = 8;
const MAX_BITS: u32 = 23;

/// The places of all grams of some bytes.
pub(crate) struct GramIndex {
    text: Vec<u8>,
    /// By hash, the last place of such a gram.
    heads: Vec<u32>,
    /// By place, the place before with the same hash.
    before: Vec<u32>,
    shift: u32,
}

/// A match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) at: usize,
    pub(crate) length: usize,
}

impl GramIndex {
    /// Indexes `text`, which is smaller than 4 GiB.
    pub(crate) fn new(text: Vec<u8>) -> Self {
        let bits = bits(text.len() as u64);
        let shift = u64::BITS - bits;
        let (mut heads, mut before) = (vec![NOWHERE; 1 << bits], vec![NOWHERE; text.len()]);
        let mut last = None;
        for (place, gram) in text.windows(GRAM).enumerate() {
            let gram = number(gram);
            // A run of equal bytes needs one entry, not one for each of its places.
            if last == Some(gram) {
                continue;
            }
            last = Some(gram);
            let Ok(place) = u32::try_from(place) else { break };
            if let (Some(head), Some(before)) =
                (heads.get_mut(hash(gram, shift)), before.get_mut(place as usize))
            {
                *before = std::mem::replace(head, place);
            }
        }
        Self { text, heads, before, shift }
    }

    /// The bytes.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The bytes that the index of a text of this length takes besides the text.
    pub(crate) fn memory(length: u64) -> u64 {
        4 * length + (4 << bits(length))
    }

    /// A long match of what `wanted` begins with; of equally long ones that which is closest to
    /// `near`.
    pub(crate) fn longest(&self, wanted: &[u8], near: usize) -> Option<Match> {
        let wanted = wanted.get(..MAX_MATCH).unwrap_or(wanted);
        let gram = number(wanted.get(..GRAM)?);
        let mut place = self.heads.get(hash(gram, self.shift)).copied().unwrap_or(NOWHERE);
        let mut best: Option<Match> = None;
        for _ in 0..MAX_CANDIDATES {
            if place == NOWHERE {
                break;
            }
            let at = place as usize;
            let length = common_prefix(self.text.get(at..).unwrap_or_default(), wanted);
            let is_better = best.is_none_or(|best| {
                let closer = at.abs_diff(near) < best.at.abs_diff(near);
                length > best.length || (length == best.length && closer)
            });
            if length >= GRAM && is_better {
                best = Some(Match { at, length });
            }
            place = self.before.get(at).copied().unwrap_or(NOWHERE);
        }
        best
    }
}

fn hash(gram: u64, shift: u32) -> usize {
    // Fibonacci hashing: the high bits depend on all of the gram.
    let mixed = gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift;
    usize::try_from(mixed).unwrap_or(0)
}

/// The size of the table: about one entry for two places.
fn bits(length: u64) -> u32 {
    (u64::BITS - length.leading_zeros()).saturating_sub(2).clamp(MIN_BITS, MAX_BITS)
}

fn number(gram: &[u8]) -> u64 {
    let mut bytes = [0; GRAM];
    bytes.copy_from_slice(gram);
    u64::from_le_bytes(bytes)
}

/// How many bytes both begin with.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let mut length = 0;
    for (x, y) in words {
        let differing = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differing != 0 {
            return length + differing.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let (a, b) = (a.get(length..).unwrap_or_default(), b.get(length..).unwrap_or_default());
    length + a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GRAM, GramIndex, common_prefix};

    proptest! {
        #[test]
        fn what_is_found_is_there(
            text in proptest::collection::vec(0_u8..3, 0..400),
            wanted in proptest::collection::vec(0_u8..3, 0..60),
            near in 0_usize..400,
        ) {
            let found = GramIndex::new(text.clone()).longest(&wanted, near);
            if let Some(found) = found {
                prop_assert!(found.length >= GRAM);
                let at = found.at..found.at + found.length;
                prop_assert_eq!(&text[at], &wanted[..found.length]);
            } else {
                // Equal grams that follow each other have one entry, at the first of them.
                let first = wanted.get(..GRAM);
                prop_assert!(!text.windows(GRAM).any(|gram| Some(gram) == first));
            }
        }

        #[test]
        fn a_place_that_is_unique_is_found_whole(
            text in proptest::collection::vec(any::<u8>(), 4096..5000),
            at in 0_usize..4000,
        ) {
            let wanted = &text[at..at + 60];
            let found = GramIndex::new(text.clone()).longest(wanted, 0).unwrap();
            prop_assert_eq!((found.at, found.length), (at, 60));
        }
    }

    #[test]
    fn prefixes_are_measured() {
        assert_eq!(common_prefix(b"0123456789", b"0123456789"), 10);
        assert_eq!(common_prefix(b"0123456789", b"012345678x1"), 9);
        assert_eq!(common_prefix(b"0123456789", b"012x456789"), 3);
        assert_eq!(common_prefix(b"", b"a"), 0);
    }
}
