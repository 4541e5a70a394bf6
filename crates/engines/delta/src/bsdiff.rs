//! The search of bsdiff (Colin Percival, "Naive differences of executable code"): new content as
//! approximate copies of regions of the old, with new bytes between them.
//!
//! A region goes on past single different bytes as long as more than half of them agree, which is
//! what makes executables small whose addresses have all moved.

use crate::grams::{GramIndex, Match, common_prefix};

/// A match has to be this much better than going on with the region at hand.
const BETTER: usize = 8;
/// Where the region at hand agrees for as long as this, nothing else is looked for.
const FOLLOWED: usize = 16;

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

/// The steps that make `new` of what `index` holds. The region at hand begins at `from`.
pub(crate) fn steps(index: &GramIndex, new: &[u8], from: usize) -> Vec<Step> {
    let old = index.text();
    let mut search = Search { index, new, shift: signed(from), at: 0 };
    let mut steps = Vec::new();
    // Where the step that is being collected began.
    let (mut last_new, mut last_old) = (0, from);
    loop {
        let found = search.next();
        let scan = search.at;
        let forward = extend_forward(old, new, last_old, last_new..scan);
        let next_old = found.map_or(0, |found| found.at);
        let backward = match found {
            Some(_) => extend_backward(old, new, next_old, last_new..scan),
            None => 0,
        };
        let (forward, backward) =
            share(old, new, (last_old, last_new, forward), (next_old, scan, backward));
        let next = scan - backward;
        let fresh = next - (last_new + forward);
        steps.push(Step { new_at: last_new, old_at: last_old, close: forward, fresh });
        let Some(found) = found else { return steps };
        (last_new, last_old) = (next, found.at - backward);
        search.follow(found);
    }
}

fn signed(number: usize) -> isize {
    // Contents are smaller than 2 GiB.
    isize::try_from(number).unwrap_or(isize::MAX)
}

struct Search<'a> {
    index: &'a GramIndex,
    new: &'a [u8],
    /// The region at hand: position in the old content less position in the new.
    shift: isize,
    /// How far the new content was looked at.
    at: usize,
}

impl Search<'_> {
    /// What the region at hand gives from here on.
    fn region(&self) -> &[u8] {
        let old = self.at.checked_add_signed(self.shift);
        old.and_then(|at| self.index.text().get(at..)).unwrap_or_default()
    }

    /// The next match that is worth leaving the region at hand; at the end of the new content
    /// none.
    fn next(&mut self) -> Option<Match> {
        while self.at < self.new.len() {
            let wanted = self.new.get(self.at..).unwrap_or_default();
            let region = self.region();
            let followed = common_prefix(region, wanted);
            if followed >= FOLLOWED {
                self.at += followed;
                continue;
            }
            let near = self.at.saturating_add_signed(self.shift);
            if let Some(found) = self.index.longest(wanted, near) {
                let pairs = wanted.iter().zip(region).take(found.length);
                let agreeing = pairs.filter(|(new, old)| new == old).count();
                if found.length > agreeing + BETTER {
                    return Some(found);
                }
            }
            // Within a short piece that agrees nothing better begins, except near its end.
            self.at += if followed >= BETTER { followed } else { 1 };
        }
        None
    }

    /// Makes a match the region at hand.
    fn follow(&mut self, found: Match) {
        self.shift = signed(found.at) - signed(self.at);
        self.at += found.length;
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
