//! [`entries`]: all that is in an OTA package, by its directory.

use std::ops::Range;

use crate::Error;
use crate::package::{LOCAL_HEADER, number};

const ENTRY_LEN: usize = 46;
const ENCRYPTED: u64 = 1;
const ZIP64_EXTRA: u64 = 1;
const IN_ZIP64: u64 = 0xffff_ffff;

/// How an entry is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Stored,
    /// By deflate.
    Deflated,
    /// In a way that no package has: by other methods, or encrypted.
    Other,
}

/// One entry of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Vec<u8>,
    /// How it is packed.
    pub packing: Packing,
    /// CRC-32 of its content.
    pub crc: u32,
    /// How many bytes it has in the package.
    pub packed: u64,
    /// How many bytes its content has.
    pub size: u64,
    /// Where its local header is.
    pub local_header: u64,
}

/// Reads a directory, in its order.
///
/// # Errors
/// [`Error::Package`]: it is damaged.
pub fn entries(mut directory: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    while !directory.is_empty() {
        let (entry, rest) = next(directory).ok_or(Error::Package("its directory is damaged"))?;
        entries.push(entry);
        directory = rest;
    }
    Ok(entries)
}

fn next(directory: &[u8]) -> Option<(Entry, &[u8])> {
    if !directory.starts_with(b"PK\x01\x02") {
        return None;
    }
    let field = |at: usize, length: usize| number(directory, at, length);
    let length = |at: usize| usize::try_from(field(at, 2)?).ok();
    let (names, extra, comment) = (length(28)?, length(30)?, length(32)?);
    let name_end = ENTRY_LEN + names;
    let extra_end = name_end + extra;
    let name = directory.get(ENTRY_LEN..name_end)?.to_vec();
    let packing = match (field(8, 2)? & ENCRYPTED, field(10, 2)?) {
        (0, 0) => Packing::Stored,
        (0, 8) => Packing::Deflated,
        _ => Packing::Other,
    };
    let mut sizes = [field(24, 4)?, field(20, 4)?, field(42, 4)?];
    read_zip64(&mut sizes, directory.get(name_end..extra_end)?)?;
    let [size, packed, local_header] = sizes;
    let crc = u32::try_from(field(16, 4)?).ok()?;
    let rest = directory.get(extra_end + comment..)?;
    Some((Entry { name, packing, crc, packed, size, local_header }, rest))
}

impl Entry {
    /// Where its bytes are, by the local header.
    ///
    /// # Errors
    /// [`Error::Package`]: the local header is damaged, or that of another entry.
    pub fn data(&self, local: &[u8; LOCAL_HEADER]) -> Result<Range<u64>, Error> {
        let damaged = || Error::Package("the header of an entry in it is damaged");
        let field = |at: usize| number(local, at, 2).ok_or_else(damaged);
        let packing = match field(8)? {
            0 => Packing::Stored,
            8 => Packing::Deflated,
            _ => Packing::Other,
        };
        let is_own = field(26)? == self.name.len() as u64 && packing == self.packing;
        if !local.starts_with(b"PK\x03\x04") || !is_own {
            return Err(damaged());
        }
        let before = LOCAL_HEADER as u64 + field(26)? + field(28)?;
        let start = self.local_header.checked_add(before).ok_or_else(damaged)?;
        let end = start.checked_add(self.packed).ok_or_else(damaged)?;
        Ok(start..end)
    }
}

/// Numbers that do not fit into 32 bits are in the extra field 1, in this order.
fn read_zip64(sizes: &mut [u64; 3], mut extra: &[u8]) -> Option<()> {
    if !sizes.contains(&IN_ZIP64) {
        return Some(());
    }
    loop {
        let (id, length) = (number(extra, 0, 2)?, number(extra, 2, 2)?);
        let content = extra.get(4..)?;
        let (content, rest) = content.split_at_checked(usize::try_from(length).ok()?)?;
        extra = rest;
        if id == ZIP64_EXTRA {
            let wide = sizes.iter_mut().filter(|size| **size == IN_ZIP64);
            for (index, size) in wide.enumerate() {
                *size = number(content, 8 * index, 8)?;
            }
            return Some(());
        }
    }
}
