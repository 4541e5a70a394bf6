//! [`RangeSet`]: blocks of a partition, as transfer lists name them.
//!
//! ```text
//! 4,0,10,20,30    how many numbers follow; blocks 0 to 9, and 20 to 29
//! ```

use std::ops::Range;

/// The most ranges of one set.
const MAX_RANGES: usize = 1 << 17;

/// Blocks in an order: not sorted, and none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet(Vec<Range<u64>>);

impl RangeSet {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut words = text.split(',').map(str::parse::<u64>);
        let mut next = || words.next().and_then(Result::ok);
        let bad = "a set of blocks is not COUNT,FIRST,END,…";
        let count = next().filter(|count| *count > 0 && count % 2 == 0).ok_or(bad)?;
        let count = usize::try_from(count / 2).ok().filter(|count| *count <= MAX_RANGES);
        let mut ranges = Vec::new();
        for _ in 0..count.ok_or("a set of blocks has too many ranges")? {
            let (Some(start), Some(end)) = (next(), next()) else { return Err(bad) };
            if start >= end {
                return Err("a range of blocks is empty");
            }
            ranges.push(start..end);
        }
        if words.next().is_some() {
            return Err(bad);
        }
        let set = Self(ranges);
        set.0
            .iter()
            .try_fold(0_u64, |sum, range| sum.checked_add(range.end - range.start))
            .ok_or("a set of blocks is too large")?;
        let mut sorted = set.0.clone();
        sorted.sort_unstable_by_key(|range| range.start);
        if sorted.windows(2).any(|pair| matches!(pair, [one, next] if one.end > next.start)) {
            return Err("a set of blocks has one twice");
        }
        Ok(set)
    }

    /// The ranges, in their order.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    /// How many blocks it has.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The first block after all of it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.0.iter().map(|range| range.end).max().unwrap_or(0)
    }

    /// Whether a block is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut sorted: Vec<_> = other.0.iter().collect();
        sorted.sort_unstable_by_key(|range| range.start);
        self.0.iter().any(|one| {
            let at = sorted.partition_point(|range| range.end <= one.start);
            sorted.get(at).is_some_and(|range| range.start < one.end)
        })
    }
}

impl std::fmt::Display for RangeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.len() * 2)?;
        self.0.iter().try_for_each(|range| write!(f, ",{},{}", range.start, range.end))
    }
}

#[cfg(test)]
mod tests {
    use super::RangeSet;

    #[test]
    fn sets_read_back_and_know_whether_they_overlap() {
        let set = RangeSet::parse("4,20,30,0,10").unwrap();
        assert_eq!((set.blocks(), set.end(), set.to_string()), (20, 30, "4,20,30,0,10".to_owned()));
        for (other, overlaps) in [
            ("2,10,20", false),
            ("2,9,10", true),
            ("2,5,25", true),
            ("2,30,31", false),
            ("4,40,41,29,30", true),
        ] {
            let other = RangeSet::parse(other).unwrap();
            assert_eq!(
                (set.overlaps(&other), other.overlaps(&set)),
                (overlaps, overlaps),
                "{other}"
            );
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "0",
            "1,0",
            "2,0",
            "2,1,1",
            "2,2,1",
            "3,1,2,3",
            "2,1,2,3",
            "4,1,5,4,6",
            "2,-1,2",
            "2,0,x",
            "400000,0,1",
            "4,0,18446744073709551615,5,6",
        ] {
            assert!(RangeSet::parse(text).is_err(), "{text}");
        }
    }
}
