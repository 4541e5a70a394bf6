//! Logical partitions: pieces of the partition `super` that are put together to partitions, so that an
//! update can make one larger.
//!
//! ```text
//! byte 0        nothing, so that nobody takes it for a boot sector
//! byte 4096     Geometry: "gDla", 52, SHA-256, max size, slots, block size
//! byte 8192     the same again
//! byte 12288    the table of slot 0, of slot 1 …, each of the max size
//! then          the same tables again, in the same order
//! then          what is in the partitions
//! ```
//! A device with one copy of its system has one slot. Numbers have their low byte first, sectors 512
//! bytes. (AOSP, `system/core/fs_mgr/liblp/include/liblp/metadata_format.h`, versions 10.0 to 10.2.)

mod changes;
mod check;
mod fields;
mod table;

pub use changes::{MAX_CHANGES, TableChange, parse_changes};
pub use table::{LogicalDevice, LogicalExtent, LogicalGroup, LogicalPartition, LogicalTable};

use sha2::{Digest as _, Sha256};

use crate::Error;
use fields::{Fields, u32_at};

/// What a sector has, in bytes.
pub const SECTOR: u64 = 512;
const SECTOR_LEN: u32 = 512;
/// The group that is always there, and has no limit.
pub const DEFAULT_GROUP: &str = "default";
/// The largest table that is read, in bytes. Real ones may have 64 KiB.
pub const MAX_TABLE: u32 = 1 << 20;
/// The most slots. Real devices have one to three.
const MAX_SLOTS: u32 = 16;
/// The largest block: that of a device that cannot write less.
const MAX_BLOCK: u32 = 1 << 20;

const MAGIC: u32 = 0x616c_4467;
const LEN: usize = 52;
const ROOM: usize = 4096;
const RESERVED: u64 = 4096;

/// How much room there is for tables, and where each of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// How many bytes a table may have.
    pub max_size: u32,
    /// How many tables there are, without their copies.
    pub slots: u32,
    /// Of how many bytes sizes of partitions are a multiple.
    pub block_size: u32,
}

impl Geometry {
    /// Where it is, and where it is again.
    pub const OFFSETS: [u64; 2] = [RESERVED, RESERVED + Self::ROOM];
    /// How many bytes belong to it.
    pub const ROOM: u64 = ROOM as u64;

    /// Reads one from the bytes at one of its [`OFFSETS`](Self::OFFSETS).
    ///
    /// # Errors
    /// [`Error::LogicalPartitions`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |problem: &str| Err(Error::LogicalPartitions(format!("its geometry {problem}")));
        let Some(own) = bytes.get(..LEN) else { return bad("is cut off") };
        if u32_at(own, 0) != MAGIC {
            return bad("does not begin with `gDla`");
        }
        if u32_at(own, 4) as usize != LEN {
            return bad("has another length than 52");
        }
        if own.get(8..40) != Some(&sum_without(own, 8)[..]) {
            return bad("is damaged: its SHA-256 is another");
        }
        let (max_size, slots, block_size) = (u32_at(own, 40), u32_at(own, 44), u32_at(own, 48));
        let geometry = Self { max_size, slots, block_size };
        match geometry.problem() {
            Some(problem) => bad(problem),
            None => Ok(geometry),
        }
    }

    /// The bytes, as many as there is room for.
    ///
    /// # Errors
    /// [`Error::LogicalPartitions`]: no device has such a one.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        if let Some(problem) = self.problem() {
            return Err(Error::LogicalPartitions(format!("its geometry {problem}")));
        }
        let mut fields = Fields::default();
        fields.u32(MAGIC).u32(52).bytes(&[0; 32]);
        fields.u32(self.max_size).u32(self.slots).u32(self.block_size);
        let mut bytes = fields.0;
        put_sum(&mut bytes, 8);
        bytes.resize(ROOM, 0);
        Ok(bytes)
    }

    /// Where the table of a slot is, and where it is again.
    #[must_use]
    pub fn table_offsets(&self, slot: u32) -> [u64; 2] {
        let (size, slots) = (u64::from(self.max_size), u64::from(self.slots));
        let first = RESERVED + 2 * Self::ROOM;
        [slot.into(), slots + u64::from(slot)].map(|index| first + size * index)
    }

    /// The byte after all tables.
    #[must_use]
    pub fn end(&self) -> u64 {
        let tables = 2 * u64::from(self.max_size) * u64::from(self.slots);
        RESERVED + 2 * Self::ROOM + tables
    }

    fn problem(&self) -> Option<&'static str> {
        let sector = SECTOR_LEN;
        match self {
            Self { max_size, .. } if *max_size == 0 || max_size % sector != 0 => {
                Some("has room for tables that is none, or no whole sectors")
            }
            Self { max_size, .. } if *max_size > MAX_TABLE => Some("has tables of over 1 MiB"),
            Self { slots, .. } if *slots == 0 || *slots > MAX_SLOTS => {
                Some("has no slots, or more than 16")
            }
            Self { block_size, .. } if *block_size == 0 || block_size % sector != 0 => {
                Some("has blocks that are none, or no whole sectors")
            }
            Self { block_size, .. } if *block_size > MAX_BLOCK => Some("has blocks of over 1 MiB"),
            _ => None,
        }
    }
}

/// The SHA-256 of bytes in which it stands itself: there are zeros in its place then.
fn sum_without(bytes: &[u8], at: usize) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(bytes.get(..at).unwrap_or_default());
    sum.update([0; 32]);
    sum.update(bytes.get(at + 32..).unwrap_or_default());
    sum.finalize().into()
}

fn put_sum(bytes: &mut [u8], at: usize) {
    let sum = sum_without(bytes, at);
    if let Some(place) = bytes.get_mut(at..at + 32) {
        place.copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::Geometry;

    const GEOMETRY: Geometry = Geometry { max_size: 65536, slots: 1, block_size: 4096 };

    #[test]
    fn a_geometry_reads_back_and_says_where_tables_are() {
        let bytes = GEOMETRY.encode().unwrap();
        assert_eq!((bytes.len(), &bytes[..8]), (4096, &b"gDla\x34\0\0\0"[..]));
        assert_eq!(Geometry::parse(&bytes).unwrap(), GEOMETRY);
        assert_eq!(Geometry::OFFSETS, [4096, 8192]);
        assert_eq!(GEOMETRY.table_offsets(0), [12288, 12288 + 65536]);
        let two = Geometry { slots: 2, ..GEOMETRY };
        assert_eq!(two.table_offsets(1), [12288 + 65536, 12288 + 3 * 65536]);
        assert_eq!((GEOMETRY.end(), two.end()), (12288 + 2 * 65536, 12288 + 4 * 65536));
    }

    #[test]
    fn what_is_none_is_refused() {
        let bytes = GEOMETRY.encode().unwrap();
        for at in 0..52 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Geometry::parse(&damaged).is_err(), "byte {at}");
        }
        assert!(Geometry::parse(&bytes[..51]).is_err() && Geometry::parse(&[]).is_err());
        for wrong in [
            Geometry { max_size: 0, ..GEOMETRY },
            Geometry { max_size: 1000, ..GEOMETRY },
            Geometry { max_size: 2 << 20, ..GEOMETRY },
            Geometry { slots: 0, ..GEOMETRY },
            Geometry { slots: 17, ..GEOMETRY },
            Geometry { block_size: 0, ..GEOMETRY },
            Geometry { block_size: 1000, ..GEOMETRY },
            Geometry { block_size: 2 << 20, ..GEOMETRY },
        ] {
            assert!(wrong.encode().is_err(), "{wrong:?}");
        }
    }
}
