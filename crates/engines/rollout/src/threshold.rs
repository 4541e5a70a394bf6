//! Shares of a phase with a least number of devices.

use crate::error::{Error, Result};

/// A share of a phase with a least number of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    percent: u8,
    minimum: u32,
}

impl Threshold {
    /// `percent` per cent (0 to 100) of a phase's devices, and at least `minimum` of them. A
    /// phase with fewer than `minimum` devices needs all of them.
    pub fn new(percent: u8, minimum: u32) -> Result<Self> {
        if percent > 100 {
            return Err(Error::ThresholdOutOfRange { percent });
        }
        Ok(Self { percent, minimum })
    }

    /// Whether `count` of `size` devices reach the threshold. None ever does not.
    pub fn is_reached(self, count: u32, size: u32) -> bool {
        let share = u64::from(count) * 100 >= u64::from(self.percent) * u64::from(size);
        count > 0 && count >= self.minimum.min(size) && share
    }
}

#[cfg(test)]
mod tests {
    use super::Threshold;

    #[test]
    fn thresholds_count_share_and_least_number() {
        let check = |percent, minimum, count, size, expect| {
            let threshold = Threshold::new(percent, minimum).expect("valid");
            assert_eq!(
                threshold.is_reached(count, size),
                expect,
                "{percent}%/{minimum}: {count} of {size}"
            );
        };
        check(50, 1, 1, 2, true);
        check(51, 1, 1, 2, false);
        check(10, 1, 1, 11, false);
        check(10, 1, 2, 11, true);
        check(10, 3, 2, 11, false);
        check(10, 3, 3, 11, true);
        check(10, 3, 2, 2, true);
        check(0, 1, 0, 5, false);
        check(0, 0, 0, 5, false);
        check(0, 0, 1, 5, true);
        check(100, 1, u32::MAX, u32::MAX, true);
        assert!(Threshold::new(101, 1).is_err());
    }
}
