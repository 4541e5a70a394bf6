//! [`SuffixIndex`]: where in the old content the longest match of some new bytes is.

use libsais::SuffixArrayConstruction;

use crate::{Error, Result};

/// Two bytes choose a bucket.
const BUCKETS: usize = 1 << 16;
/// Contents shorter than this are searched without buckets, which would cost more than they save.
const BUCKETED: usize = 4096;

/// All suffixes of some bytes, sorted.
pub(crate) struct SuffixIndex<'a> {
    text: &'a [u8],
    sorted: Vec<i32>,
    /// Where the suffixes with each first two bytes begin in `sorted`; empty for short texts.
    buckets: Vec<u32>,
}

/// The longest match found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Match {
    pub(crate) at: usize,
    pub(crate) length: usize,
}

impl<'a> SuffixIndex<'a> {
    /// Sorts the suffixes of `text`, which is smaller than 2 GiB.
    pub(crate) fn new(text: &'a [u8]) -> Result<Self> {
        let sorted = if text.is_empty() {
            Vec::new()
        } else {
            SuffixArrayConstruction::for_text(text)
                .in_owned_buffer32()
                .single_threaded()
                .run()
                .map_err(|error| Error::Library(error.to_string()))?
                .into_vec()
        };
        let buckets = if text.len() < BUCKETED { Vec::new() } else { bucket_starts(text) };
        Ok(Self { text, sorted, buckets })
    }

    /// The bytes.
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The bytes that a text of this length needs besides itself.
    pub(crate) fn memory(length: u64) -> u64 {
        4 * length + 5 * BUCKETS as u64
    }

    /// The longest prefix of `wanted` that is in the text.
    pub(crate) fn longest(&self, wanted: &[u8]) -> Match {
        let (mut low, mut high) = self.range(wanted);
        let mut best = Match::default();
        // How much of `wanted` the suffixes just below `low` and at `high` share with it: all
        // between them share the smaller of both.
        let (mut below, mut above) = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.at(middle);
            let suffix = self.text.get(at..).unwrap_or_default();
            let known = below.min(above);
            let length = known + common_prefix(tail(suffix, known), tail(wanted, known));
            if length > best.length {
                best = Match { at, length };
            }
            if length == wanted.len() {
                break;
            }
            let goes_up = match (suffix.get(length), wanted.get(length)) {
                (Some(have), Some(want)) => have < want,
                (have, _) => have.is_none(),
            };
            if goes_up {
                (low, below) = (middle + 1, length);
            } else {
                (high, above) = (middle, length);
            }
        }
        best
    }

    fn at(&self, index: usize) -> usize {
        self.sorted.get(index).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0)
    }

    /// Where in `sorted` a match of two bytes and more can be.
    fn range(&self, wanted: &[u8]) -> (usize, usize) {
        let all = (0, self.sorted.len());
        let &[first, second, ..] = wanted else { return all };
        let bucket = usize::from(u16::from_be_bytes([first, second]));
        match (self.buckets.get(bucket), self.buckets.get(bucket + 1)) {
            (Some(start), Some(end)) => (*start as usize, *end as usize),
            _ => all,
        }
    }
}

/// Where the suffixes that begin with each pair of bytes start among all sorted ones.
fn bucket_starts(text: &[u8]) -> Vec<u32> {
    let mut starts = vec![0_u32; BUCKETS + 1];
    for pair in text.windows(2) {
        let bucket = usize::from(u16::from_be_bytes([pair[0], pair[1]]));
        if let Some(count) = starts.get_mut(bucket + 1) {
            *count += 1;
        }
    }
    // The last byte by itself sorts before all pairs that begin with it.
    if let Some(count) = text.last().and_then(|last| starts.get_mut(usize::from(*last) << 8)) {
        *count += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    starts
}

fn tail(bytes: &[u8], from: usize) -> &[u8] {
    bytes.get(from..).unwrap_or_default()
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
    length + tail(a, length).iter().zip(tail(b, length)).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SuffixIndex, common_prefix};

    fn check(text: &[u8], wanted: &[u8]) {
        let index = SuffixIndex::new(text).unwrap();
        let found = index.longest(wanted);
        let best = (0..text.len()).map(|at| common_prefix(&text[at..], wanted)).max().unwrap_or(0);
        // One byte by itself is not worth finding in a text with buckets.
        if best > 1 || text.len() < super::BUCKETED {
            assert_eq!(found.length, best);
        }
        assert_eq!(&text[found.at..found.at + found.length], &wanted[..found.length]);
    }

    proptest! {
        #[test]
        fn the_longest_match_is_found(
            text in proptest::collection::vec(0_u8..4, 0..300),
            wanted in proptest::collection::vec(0_u8..4, 0..30),
        ) {
            check(&text, &wanted);
            check(&text.repeat(20), &wanted);
        }

        #[test]
        fn with_buckets_too(
            text in proptest::collection::vec(any::<u8>(), 4096..5000),
            at in 0_usize..4000,
            end in any::<[u8; 4]>(),
        ) {
            check(&text, &[&text[at..at + 40], &end].concat());
        }
    }
}
