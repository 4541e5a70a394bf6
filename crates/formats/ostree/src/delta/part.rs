//! Parts: a byte that names the compression, then `(a(uuu)aa(ayay)ayay)`.
//!
//! ```text
//! modes     a(uuu)      owner, group, mode, big-endian
//! xattrs    aa(ayay)    sets of extended attributes
//! payload   ay          bytes of new objects, patches, checksums of sources
//! program   ay          operations
//! ```
//!
//! A part can be large, so it is never needed as a whole: [`PartLayout::locate`] finds the four
//! members from the framing offsets at the end, and only the tables and the program are read into
//! memory.

use std::ops::Range;

use crate::gvariant::{build_array, split_array};
use crate::{Error, Xattrs};

const WHAT: &str = "delta part";
/// The bytes of one entry of the table of modes.
const MODE_LEN: usize = 12;
/// The largest table of modes or xattrs. The xattrs of one file fit into 64 KiB.
const MAX_TABLE: u64 = 16 << 20;
/// The largest program: enough to copy a file of 10 GiB in pieces of 8 KiB.
const MAX_PROGRAM: u64 = 16 << 20;
/// The framing offsets of the first three members.
const OFFSETS: usize = 3;
/// The most bytes that [`PartLayout::locate`] has to see.
const MAX_TAIL: u64 = 8 * OFFSETS as u64;

/// How a part is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartCompression {
    /// Not at all.
    None,
    /// An xz stream.
    Xz,
}

impl PartCompression {
    /// The first byte of the file.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Xz => b'x',
        }
    }

    /// What the first byte means.
    pub fn from_byte(byte: u8) -> Result<Self, Error> {
        match byte {
            0 => Ok(Self::None),
            b'x' => Ok(Self::Xz),
            _ => Err(Error::malformed(WHAT, format!("Invalid compression type '{byte}'"))),
        }
    }
}

/// Where the members of a part lie, decompressed and without the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartLayout {
    /// The table of modes.
    pub modes: Range<u64>,
    /// The table of xattrs.
    pub xattrs: Range<u64>,
    /// The payload.
    pub payload: Range<u64>,
    /// The program.
    pub program: Range<u64>,
}

/// How many bytes of the end of a part of this length [`PartLayout::locate`] needs.
#[must_use]
pub fn part_tail(length: u64) -> u64 {
    length.min(MAX_TAIL)
}

fn offset_width(length: u64) -> usize {
    match length {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

impl PartLayout {
    /// Finds the members of a part of this length. `tail` is its last [`part_tail`] bytes.
    pub fn locate(length: u64, tail: &[u8]) -> Result<Self, Error> {
        let bad = || Error::malformed(WHAT, "the layout does not match the type");
        let width = offset_width(length);
        let table = OFFSETS * width;
        let offsets =
            tail.len().checked_sub(table).and_then(|at| tail.get(at..)).ok_or_else(bad)?;
        let end = length.checked_sub(table as u64).ok_or_else(bad)?;
        // Stored in reverse order: the first member's end comes last.
        let mut ends = offsets.chunks_exact(width).rev().map(|bytes| {
            let mut wide = [0; 8];
            wide[..width].copy_from_slice(bytes);
            u64::from_le_bytes(wide)
        });
        let mut start = 0;
        let mut member = |stop: u64| {
            let range = start..stop;
            start = stop;
            if range.start > range.end || stop > end { Err(bad()) } else { Ok(range) }
        };
        let layout = Self {
            modes: member(ends.next().unwrap_or(u64::MAX))?,
            xattrs: member(ends.next().unwrap_or(u64::MAX))?,
            payload: member(ends.next().unwrap_or(u64::MAX))?,
            program: member(end)?,
        };
        let limits = [
            (&layout.modes, MAX_TABLE),
            (&layout.xattrs, MAX_TABLE),
            (&layout.program, MAX_PROGRAM),
        ];
        for (range, limit) in limits {
            let size = range.end - range.start;
            if size > limit {
                return Err(Error::TooLarge { what: WHAT, size, limit });
            }
        }
        Ok(layout)
    }
}

/// The framing offsets that end a part whose members have these lengths.
#[must_use]
pub fn encode_part_frame(modes: u64, xattrs: u64, payload: u64, program: u64) -> Vec<u8> {
    let ends = [modes, modes + xattrs, modes + xattrs + payload];
    let body = modes + xattrs + payload + program;
    let width = [1_usize, 2, 4, 8]
        .into_iter()
        .find(|width| offset_width(body + (OFFSETS * width) as u64) <= *width)
        .unwrap_or(8);
    ends.iter().rev().flat_map(|end| end.to_le_bytes().into_iter().take(width)).collect()
}

/// Owners, modes and xattrs of a part's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartTables {
    /// Owner, group and mode.
    pub modes: Vec<(u32, u32, u32)>,
    /// Sets of extended attributes.
    pub xattrs: Vec<Xattrs>,
}

impl PartTables {
    /// The table of modes as stored.
    #[must_use]
    pub fn encode_modes(&self) -> Vec<u8> {
        let numbers = self.modes.iter().flat_map(|(uid, gid, mode)| [*uid, *gid, *mode]);
        numbers.flat_map(u32::to_be_bytes).collect()
    }

    /// The table of xattrs as stored.
    #[must_use]
    pub fn encode_xattrs(&self) -> Vec<u8> {
        build_array(1, self.xattrs.iter().map(Xattrs::encode))
    }

    /// Reads both tables.
    pub fn decode(modes: &[u8], xattrs: &[u8]) -> Result<Self, Error> {
        if !modes.len().is_multiple_of(MODE_LEN) {
            return Err(Error::malformed(WHAT, "the table of modes is cut short"));
        }
        let number = |bytes: &[u8]| {
            let mut number = [0; 4];
            number.copy_from_slice(bytes);
            u32::from_be_bytes(number)
        };
        let numbers: Vec<u32> = modes.chunks_exact(4).map(number).collect();
        let modes = numbers.as_chunks::<3>().0.iter().map(|[uid, gid, mode]| (*uid, *gid, *mode));
        let tables = Self {
            modes: modes.collect(),
            xattrs: split_array(WHAT, xattrs, 1)?
                .into_iter()
                .map(Xattrs::decode)
                .collect::<Result<_, _>>()?,
        };
        if tables.encode_xattrs() != xattrs {
            return Err(Error::NotNormalForm { what: WHAT });
        }
        Ok(tables)
    }
}
