//! [`BlockMap`]: where on a device the blocks of a package lie, for a recovery that cannot read the file
//! system on it, because it is encrypted.
//!
//! ```text
//! /dev/block/by-name/userdata    the device
//! 49652 4096                     bytes of the package, bytes of a block
//! 3                              how many ranges follow
//! 1000 1008                      blocks 1000 to 1007
//! 2100 2102
//! 30 33
//! ```
//! Android's `uncrypt` writes it, `/cache/recovery/block.map`; recovery is given its path after an `@`.
//! (AOSP, `bootable/recovery/uncrypt/uncrypt.cpp` and `otautil/sysutil.cpp`.)

use std::ops::Range;

use crate::Error;

/// The longest one that is read, in bytes.
pub const MAX_BLOCK_MAP: u64 = 16 << 20;
const MAX_RANGES: usize = 1 << 19;

/// Where a package lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMap {
    /// The device.
    pub device: String,
    /// How many bytes the package has.
    pub size: u64,
    /// Its parts in their order, as bytes of the device. The last one may reach beyond the package.
    pub ranges: Vec<Range<u64>>,
}

impl BlockMap {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Package`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() as u64 > MAX_BLOCK_MAP {
            return Err(Error::Package("its block map is over 16 MiB"));
        }
        let bad = Error::Package("its block map is damaged");
        Self::read(text).ok_or(bad)
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let device = lines.next().filter(|device| !device.is_empty())?.to_owned();
        let (size, block) = pair(lines.next()?)?;
        let count: usize = lines.next()?.trim().parse().ok()?;
        if size == 0 || block == 0 || count == 0 || count > MAX_RANGES {
            return None;
        }
        let (mut ranges, mut blocks) = (Vec::new(), 0_u64);
        for _ in 0..count {
            let (start, end) = pair(lines.next()?)?;
            blocks = blocks.checked_add(end.checked_sub(start).filter(|count| *count > 0)?)?;
            ranges.push(start.checked_mul(block)?..end.checked_mul(block)?);
        }
        let is_whole = blocks == size.div_ceil(block) && lines.all(|line| line.trim().is_empty());
        is_whole.then_some(Self { device, size, ranges })
    }
}

fn pair(line: &str) -> Option<(u64, u64)> {
    let (one, other) = line.trim().split_once(' ')?;
    Some((one.parse().ok()?, other.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::BlockMap;

    const TEXT: &str = "/dev/a\n49652 4096\n3\n1000 1008\n2100 2102\n30 33\n";

    #[test]
    fn a_map_says_where_its_parts_are() {
        let map = BlockMap::parse(TEXT).unwrap();
        assert_eq!((map.device.as_str(), map.size, map.ranges.len()), ("/dev/a", 49652, 3));
        assert_eq!(map.ranges[2], 30 * 4096..33 * 4096);
    }

    #[test]
    fn what_is_none_is_refused() {
        for (from, to) in [
            ("/dev/a", ""),
            ("49652", "0"),
            ("49652", "57344"),
            ("4096", "0"),
            ("4096", "x"),
            ("\n3\n", "\n0\n"),
            ("\n3\n", "\n4\n"),
            ("\n3\n", "\n2\n"),
            ("1000 1008", "1008 1000"),
            ("1000 1008", "1000 1000"),
            ("1000 1008", "18446744073709551600 18446744073709551608"),
        ] {
            assert!(BlockMap::parse(&TEXT.replacen(from, to, 1)).is_err(), "{from} {to}");
        }
        assert!(BlockMap::parse("").is_err());
    }
}
