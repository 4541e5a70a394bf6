//! The search of bsdiff (Colin Percival, "Naive differences of executable code"): new content as
//! approximate copies of regions of the old, with new bytes between them.
//!
//! A region goes on past single different bytes as long as more than half of them agree, which is
//! what makes executables small whose addresses have all moved.

use crate::suffix::{Match, SuffixIndex};

/// A match has to be this much better than going on with the region at hand.
const BETTER: usize = 8;
/// After so many positions whose best match is hardly better than the region at hand, the region
/// is ended: else long runs of equal bytes would be searched at each of their positions.
const UNDECIDED: usize = 64;

/// One step: bytes close to those of the old content, then bytes that are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Where the step begins in the new content.
    pub(crate) new_at: usize,
    /// Where it begins in the old content.
    pub(crate) old_at: usize,
    /// How many bytes are close to the old ones.
    pub(crate) close: usize,
    /// How many new ones follow.
    pub(crate) fresh: usize,
}

/// The steps that make `new` of what `index` holds.
pub(crate) fn steps(index: &SuffixIndex<'_>, new: &[u8]) -> Vec<Step> {
    let mut search = Search { index, old: index.text(), new, at: 0, shift: 0, scan: 0 };
    let mut steps = Vec::new();
    // Where the step that is being collected began.
    let (mut last_new, mut last_old) = (0, 0);
    while let Some(found) = search.next() {
        let scan = search.scan;
        let forward = extend_forward(search.old, new, last_old, last_new..scan);
        let backward = if scan < new.len() {
            extend_backward(search.old, new, found.at, last_new..scan)
        } else {
            0
        };
        let (forward, backward) =
            share(search.old, new, (last_old, last_new, forward), (found.at, scan, backward));
        let next = scan - backward;
        steps.push(Step {
            new_at: last_new,
            old_at: last_old,
            close: forward,
            fresh: next - (last_new + forward),
        });
        (last_new, last_old) = (next, found.at - backward);
        search.shift = signed(found.at) - signed(scan);
    }
    steps
}

fn signed(number: usize) -> isize {
    // Contents are smaller than 2 GiB.
    isize::try_from(number).unwrap_or(isize::MAX)
}

struct Search<'a, 'i> {
    index: &'i SuffixIndex<'a>,
    old: &'a [u8],
    new: &'i [u8],
    /// The length of the last match.
    at: usize,
    /// The region at hand: position in the old content less position in the new.
    shift: isize,
    scan: usize,
}

impl Search<'_, '_> {
    /// Whether the region at hand agrees with the new content here.
    fn agrees(&self, position: usize) -> bool {
        let old = position.checked_add_signed(self.shift).and_then(|at| self.old.get(at));
        old.is_some() && old == self.new.get(position)
    }

    /// The next match that is worth leaving the region at hand; at the end of the new content an
    /// empty one.
    fn next(&mut self) -> Option<Match> {
        let end = self.new.len();
        loop {
            if self.scan >= end {
                return None;
            }
            let mut found = Match::default();
            let mut score = 0;
            let mut undecided = 0;
            self.scan += self.at;
            let mut scored = self.scan;
            while self.scan < end {
                found = self.index.longest(self.new.get(self.scan..).unwrap_or_default());
                while scored < self.scan + found.length {
                    score += usize::from(self.agrees(scored));
                    scored += 1;
                }
                if (found.length == score && found.length != 0) || found.length > score + BETTER {
                    break;
                }
                undecided = if found.length > 2 * BETTER && found.length >= score {
                    undecided + 1
                } else {
                    0
                };
                if undecided > UNDECIDED {
                    break;
                }
                score -= usize::from(scored > self.scan && self.agrees(self.scan));
                scored = scored.max(self.scan + 1);
                self.scan += 1;
            }
            self.scan = self.scan.min(end);
            self.at = found.length;
            if self.scan >= end {
                return Some(Match::default());
            }
            if found.length != score {
                return Some(found);
            }
        }
    }
}

/// How far the region from `old_at` may go on so that more bytes agree than not.
fn extend_forward(old: &[u8], new: &[u8], old_at: usize, range: std::ops::Range<usize>) -> usize {
    let old = old.get(old_at..).unwrap_or_default();
    let new = new.get(range).unwrap_or_default();
    let (mut agreeing, mut best, mut length) = (0_usize, 0_isize, 0);
    for (index, (a, b)) in old.iter().zip(new).enumerate() {
        agreeing += usize::from(a == b);
        let value = signed(2 * agreeing) - signed(index + 1);
        if value > best {
            (best, length) = (value, index + 1);
        }
    }
    length
}

/// How far the region that ends before `old_at` may begin earlier.
fn extend_backward(old: &[u8], new: &[u8], old_at: usize, range: std::ops::Range<usize>) -> usize {
    let old = old.get(..old_at).unwrap_or_default();
    let new = new.get(range).unwrap_or_default();
    let (mut agreeing, mut best, mut length) = (0_usize, 0_isize, 0);
    for (index, (a, b)) in old.iter().rev().zip(new.iter().rev()).enumerate() {
        agreeing += usize::from(a == b);
        let value = signed(2 * agreeing) - signed(index + 1);
        if value > best {
            (best, length) = (value, index + 1);
        }
    }
    length
}

/// Where both extensions claim the same new bytes, each gets those that it fits better.
fn share(
    old: &[u8],
    new: &[u8],
    (last_old, last_new, forward): (usize, usize, usize),
    (next_old, scan, backward): (usize, usize, usize),
) -> (usize, usize) {
    let overlap = (last_new + forward).saturating_sub(scan - backward);
    if overlap == 0 {
        return (forward, backward);
    }
    let (mut score, mut best, mut length) = (0_isize, 0_isize, 0);
    let first = forward - overlap;
    for index in 0..overlap {
        let byte = new.get(last_new + first + index);
        score += isize::from(byte == old.get(last_old + first + index));
        score -= isize::from(byte == old.get(next_old - backward + index));
        if score > best {
            (best, length) = (score, index + 1);
        }
    }
    (first + length, backward - length)
}
