//! [`Windows`]: which part of a large old file is looked at for each piece of the new one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::{PIECE, STEP, WINDOW, difference, signed};
use crate::anchors::Anchor;

pub(super) struct Windows {
    old_size: u64,
    new_size: u64,
    /// By number of piece, how far most of what is known of it has moved.
    shifts: HashMap<u64, i64>,
}

impl Windows {
    pub(super) fn new(old_size: u64, new_size: u64, anchors: &[Anchor]) -> Self {
        let mut votes: HashMap<u64, BTreeMap<i64, u64>> = HashMap::new();
        if old_size > WINDOW {
            for anchor in anchors {
                let shift = difference(anchor.old, anchor.new) / signed(STEP);
                let mut at = anchor.new;
                while at < anchor.new_end() {
                    let end = anchor.new_end().min((at / PIECE + 1) * PIECE);
                    let piece = votes.entry(at / PIECE).or_default();
                    *piece.entry(shift).or_default() += end - at;
                    at = end;
                }
            }
        }
        let most = |votes: BTreeMap<i64, u64>| {
            votes.into_iter().max_by_key(|(shift, bytes)| (*bytes, -shift.abs()))
        };
        let shifts = votes
            .into_iter()
            .filter_map(|(piece, votes)| Some((piece, most(votes)?.0 * signed(STEP))));
        Self { old_size, new_size, shifts: shifts.collect() }
    }

    /// The part for this range of the new file.
    pub(super) fn of(&self, range: &Range<u64>) -> Range<u64> {
        if self.old_size <= WINDOW {
            return 0..self.old_size;
        }
        let middle = range.start + (range.end - range.start) / 2;
        let centre = if let Some(shift) = self.shifts.get(&(middle / PIECE)) {
            middle.saturating_add_signed(*shift)
        } else {
            // Nothing is known: the same place in proportion.
            let new_size = u128::from(self.new_size.max(1));
            let place = u128::from(middle) * u128::from(self.old_size) / new_size;
            u64::try_from(place).unwrap_or(0)
        };
        let start = centre.saturating_sub(WINDOW / 2).min(self.old_size - WINDOW);
        let start = start / STEP * STEP;
        start..self.old_size.min(start + WINDOW)
    }
}
