//! [`Device`]: what the devices know and can afford that a payload is made for.

use updraft_payload::OperationKind;

use super::BLOCK;
use crate::{Error, Result};

/// The operations of deltas here are those of this version, which all of today's devices know.
const DELTA: u32 = 6;
/// The first version in which a payload may leave partitions out (AOSP, `payload_constants.h`).
const PARTIAL: u32 = 7;
/// Versions of deltas that Android's `update_engine` takes.
const KNOWN: std::ops::RangeInclusive<u32> = 2..=9;
/// Memory is shared out between 2 MiB and 64 MiB: less leaves no room for compression, and more would
/// have no use.
const MEMORY: std::ops::RangeInclusive<u64> = 2 << 20..=64 << 20;
/// What bzip2 takes to decompress: this, and four times the block, which is so large for each level.
const BZIP2: (u64, u64) = (100_000, 100_000);

/// What the devices know and can afford that a payload is made for. By default: minor version 6 for deltas,
/// and 64 MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Device {
    /// The newest minor version that they know, for payloads which need one.
    pub minor_version: Option<u32>,
    /// Bytes of memory that one operation may take there: its data, and the windows of its
    /// decompressors.
    pub memory: Option<u64>,
}

/// Which operations are made, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// The minor version of a delta.
    minor: u32,
    memory: u64,
}

impl Device {
    /// What that means for a payload, which may leave partitions out.
    pub(super) fn limits(self, is_partial: bool) -> Result<Limits> {
        let least = if is_partial { PARTIAL } else { *KNOWN.start() };
        let minor = self.minor_version.unwrap_or(DELTA.max(least));
        if minor < least || minor > *KNOWN.end() {
            let what = if is_partial { "partial payloads" } else { "deltas" };
            return Err(Error::Make(format!(
                "no {what} of minor version {minor} are made: give one from {least} to {}",
                KNOWN.end()
            )));
        }
        let memory = self.memory.unwrap_or(*MEMORY.end());
        if memory < *MEMORY.start() {
            return Err(Error::Make(format!(
                "{memory} bytes are too little memory for an operation: give {} or more",
                MEMORY.start()
            )));
        }
        Ok(Limits { minor, memory: memory.min(*MEMORY.end()) })
    }
}

impl Limits {
    pub(super) fn minor(self) -> u32 {
        self.minor
    }

    /// For a payload that has version 0 and may have whatever replaces.
    pub(super) fn of_full(self) -> Self {
        Self { minor: *KNOWN.end(), ..self }
    }

    /// Whether deltas may have such an operation.
    pub(super) fn knows(self, kind: OperationKind) -> bool {
        let first = match kind {
            OperationKind::ReplaceXz => 3,
            OperationKind::Zero | OperationKind::BrotliBsdiff => 4,
            _ => 2,
        };
        self.minor >= first
    }

    /// Blocks that one operation replaces or patches at most, of at most this many: an eighth of the
    /// memory, since what makes them may be as large as they are.
    pub(super) fn blocks(self, most: u64) -> u64 {
        (self.memory / 8 / BLOCK).clamp(1, most)
    }

    /// Blocks that one operation may patch from, of at most this many.
    pub(super) fn near(self, most: u64) -> u64 {
        (self.memory / 4 / BLOCK).clamp(1, most)
    }

    /// Bytes of a dictionary of xz, of at most this many.
    pub(super) fn dictionary(self, most: u64) -> u64 {
        (self.memory / 8).min(most)
    }

    /// The window of brotli for this many bytes, as a power of two; a patch has three of them.
    pub(super) fn brotli_window(self, length: usize) -> u32 {
        let needed = u64::try_from(length).unwrap_or(u64::MAX).max(1).checked_next_power_of_two();
        // The format's least and most.
        needed.unwrap_or(u64::MAX).min(self.memory / 4).ilog2().clamp(10, 24)
    }

    /// The level of bzip2 for this many bytes: as high as they can make use of; a patch has three of
    /// them.
    pub(super) fn bzip2_level(self, length: usize) -> u32 {
        let affordable = (self.memory / 4).saturating_sub(BZIP2.0) / (4 * BZIP2.1);
        let useful = u64::try_from(length).unwrap_or(u64::MAX).div_ceil(BZIP2.1);
        u32::try_from(affordable.min(useful).clamp(1, 9)).unwrap_or(9)
    }
}

#[cfg(test)]
mod tests {
    use updraft_payload::OperationKind;

    use super::{Device, KNOWN};

    #[test]
    fn memory_is_shared_out() {
        for megabytes in [2, 3, 8, 32, 64, 500] {
            let device = Device { memory: Some(megabytes << 20), ..Device::default() };
            let limits = device.limits(false).unwrap();
            let most = megabytes << 20;
            let data = limits.blocks(2048) * 4096;
            assert!(data + limits.dictionary(8 << 20) <= most);
            assert!(data + 3 * (1 << limits.brotli_window(usize::MAX)) <= most);
            let bzip2 = 100_000 + 400_000 * u64::from(limits.bzip2_level(usize::MAX));
            assert!(data + 3 * bzip2 <= most, "{megabytes}");
        }
        let limits = Device::default().limits(false).unwrap();
        assert_eq!((limits.blocks(2048), limits.near(4096)), (2048, 4096));
        assert_eq!((limits.brotli_window(usize::MAX), limits.brotli_window(5000)), (24, 13));
        assert_eq!((limits.bzip2_level(usize::MAX), limits.bzip2_level(250_000)), (9, 3));
        let little = Device { memory: Some((2 << 20) - 1), ..Device::default() };
        assert!(little.limits(false).unwrap_err().to_string().contains("2097152"));
    }

    #[test]
    fn versions_know_their_operations() {
        let limits = |minor| Device { minor_version: Some(minor), ..Device::default() };
        assert!(limits(1).limits(false).is_err() && limits(10).limits(false).is_err());
        assert!(limits(6).limits(true).is_err() && limits(7).limits(true).is_ok());
        assert_eq!(Device::default().limits(false).unwrap().minor(), 6);
        assert_eq!(Device::default().limits(true).unwrap().minor(), 7);
        let known = |kind| {
            KNOWN.filter(move |minor| limits(*minor).limits(false).unwrap().knows(kind)).min()
        };
        assert_eq!(known(OperationKind::SourceBsdiff), Some(2));
        assert_eq!(known(OperationKind::ReplaceXz), Some(3));
        assert_eq!(known(OperationKind::Zero), Some(4));
        assert_eq!(known(OperationKind::BrotliBsdiff), Some(4));
    }
}
