//! [`Gpt`]: the partition table of a disk, written and read.
//!
//! ```text
//! LBA 0                protective MBR: one partition of type 0xee over the whole disk
//! LBA 1                header:  "EFI PART", revision 1.0, CRC32s, where table and copy lie
//! LBA 2 … 33           128 entries of 128 bytes
//! …                    partitions
//! last 33 LBAs         the entries again, then the header again
//! ```
//!
//! After the UEFI specification 2.10, section 5. Sectors have 512 bytes.

use crate::Error;

const WHAT: &str = "partition table";
const SECTOR: usize = 512;
const ENTRY: usize = 128;
const ENTRIES: usize = 128;
const TABLE_SECTORS: u64 = (ENTRY * ENTRIES / SECTOR) as u64;
const HEADER: usize = 92;
// The same as they are stored.
const HEADER_LEN: u32 = 92;
const ENTRY_LEN: u32 = 128;
const ENTRY_COUNT: u32 = 128;
const SIGNATURE: &[u8; 8] = b"EFI PART";
const NAME_UNITS: usize = 36;
/// Where the boot code of a BIOS ends and the disk signature and partitions of an MBR begin.
const MBR_PARTITIONS: usize = 446;

/// A GUID in the order of its text, as `uuid` tools print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// From the 32 digits of its text, without dashes.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    /// As it lies on a disk: the first three fields have their low bytes first.
    fn to_disk(self) -> [u8; 16] {
        let mut bytes = self.0;
        let (low, rest) = bytes.split_at_mut(4);
        low.reverse();
        let (middle, rest) = rest.split_at_mut(2);
        middle.reverse();
        let (high, _) = rest.split_at_mut(2);
        high.reverse();
        bytes
    }

    fn from_disk(bytes: [u8; 16]) -> Self {
        // Swapping twice changes nothing.
        Self(Self(bytes).to_disk())
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptPartition {
    /// What is on it.
    pub type_guid: Guid,
    /// Its own name among all partitions, `PARTUUID`.
    pub guid: Guid,
    /// Its first sector.
    pub first_sector: u64,
    /// Its last sector.
    pub last_sector: u64,
    /// Flags: bit 2 says that a BIOS may boot from it, 48 to 63 belong to the type.
    pub attributes: u64,
    /// Its name for people, `PARTLABEL`; at most 36 UTF-16 units.
    pub name: String,
}

impl GptPartition {
    /// Firmware without EFI may boot from it.
    pub const LEGACY_BOOTABLE: u64 = 1 << 2;

    /// Where it begins, in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.first_sector.saturating_mul(SECTOR as u64)
    }

    /// How large it is, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        let sectors = self.last_sector.saturating_sub(self.first_sector).saturating_add(1);
        sectors.saturating_mul(SECTOR as u64)
    }

    /// Whether it is of no use: a partition has at least one sector.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last_sector < self.first_sector
    }
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpt {
    /// The disk's own name.
    pub disk_guid: Guid,
    /// How many sectors the disk has.
    pub disk_sectors: u64,
    /// Its partitions, numbered from 1.
    pub partitions: Vec<GptPartition>,
}

/// The bytes of a partition table, by where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptImage {
    /// For the begin of the disk.
    pub front: Vec<u8>,
    /// For the last bytes of the disk.
    pub back: Vec<u8>,
}

impl Gpt {
    /// Bytes at the begin of a disk that the table takes.
    pub const FRONT_LEN: u64 = (2 + TABLE_SECTORS) * SECTOR as u64;
    /// Bytes at the end of a disk that its copy takes.
    pub const BACK_LEN: u64 = (1 + TABLE_SECTORS) * SECTOR as u64;

    /// The bytes.
    ///
    /// # Errors
    /// [`Error::Environment`] when partitions overlap, leave the disk or are too many.
    pub fn encode(&self) -> Result<GptImage, Error> {
        self.check()?;
        let mut table = vec![0; ENTRY * ENTRIES];
        for (entry, partition) in table.chunks_exact_mut(ENTRY).zip(&self.partitions) {
            write_entry(entry, partition)?;
        }
        let last = self.disk_sectors.saturating_sub(1);
        let copy_table = last.saturating_sub(TABLE_SECTORS);
        let mut front = protective_mbr(self.disk_sectors);
        front.extend(self.header(1, last, 2, &table));
        front.extend_from_slice(&table);
        let mut back = table.clone();
        back.extend(self.header(last, 1, copy_table, &table));
        Ok(GptImage { front, back })
    }

    /// Reads the table from the first bytes of a disk ([`Gpt::FRONT_LEN`] of them).
    ///
    /// # Errors
    /// [`Error::Environment`] for what is none, or damaged.
    pub fn parse(front: &[u8]) -> Result<Self, Error> {
        let bad = |reason| Error::Environment { what: WHAT, reason };
        let header = front.get(SECTOR..SECTOR + HEADER).ok_or_else(|| bad("it is too short"))?;
        if !header.starts_with(SIGNATURE) {
            return Err(bad("there is no GPT header"));
        }
        let mut plain = header.to_vec();
        if let Some(crc) = plain.get_mut(16..20) {
            crc.fill(0);
        }
        if number(header, 12, 4)? != HEADER as u64
            || number(header, 16, 4)? != u64::from(crc32fast::hash(&plain))
        {
            return Err(bad("the header's checksum is wrong"));
        }
        if number(header, 72, 8)? != 2
            || number(header, 80, 4)? != ENTRIES as u64
            || number(header, 84, 4)? != ENTRY as u64
        {
            return Err(bad("its entries are laid out in an unusual way"));
        }
        let table = front
            .get(2 * SECTOR..2 * SECTOR + ENTRY * ENTRIES)
            .ok_or_else(|| bad("it is too short"))?;
        if number(header, 88, 4)? != u64::from(crc32fast::hash(table)) {
            return Err(bad("the checksum of its entries is wrong"));
        }
        let used = table.chunks_exact(ENTRY).rposition(|entry| guid(entry, 0).is_some());
        let count = used.map_or(0, |last| last + 1);
        let partitions =
            table.chunks_exact(ENTRY).take(count).map(read_entry).collect::<Result<_, _>>()?;
        let disk_guid = guid(header, 56).unwrap_or(Guid([0; 16]));
        let gpt =
            Self { disk_guid, disk_sectors: number(header, 32, 8)?.saturating_add(1), partitions };
        gpt.check()?;
        Ok(gpt)
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |reason| Err(Error::Environment { what: WHAT, reason });
        if self.partitions.len() > ENTRIES {
            return bad("there are more than 128 partitions");
        }
        let first = 2 + TABLE_SECTORS;
        let Some(end) = self.disk_sectors.checked_sub(1 + TABLE_SECTORS) else {
            return bad("the disk is too small for it");
        };
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for partition in self.partitions.iter().filter(|one| one.type_guid.0 != [0; 16]) {
            if partition.is_empty()
                || partition.first_sector < first
                || partition.last_sector >= end
            {
                return bad("a partition leaves the disk");
            }
            ranges.push((partition.first_sector, partition.last_sector));
        }
        ranges.sort_unstable();
        if ranges.windows(2).any(|pair| matches!(pair, [(_, end), (start, _)] if start <= end)) {
            return bad("partitions overlap");
        }
        Ok(())
    }

    fn header(&self, at: u64, copy: u64, table_at: u64, table: &[u8]) -> Vec<u8> {
        let mut header = Vec::with_capacity(SECTOR);
        header.extend_from_slice(SIGNATURE);
        header.extend_from_slice(&0x0001_0000_u32.to_le_bytes());
        header.extend_from_slice(&HEADER_LEN.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        let usable = (2 + TABLE_SECTORS, self.disk_sectors.saturating_sub(2 + TABLE_SECTORS));
        for sector in [at, copy, usable.0, usable.1] {
            header.extend_from_slice(&sector.to_le_bytes());
        }
        header.extend_from_slice(&self.disk_guid.to_disk());
        header.extend_from_slice(&table_at.to_le_bytes());
        for value in [ENTRY_COUNT, ENTRY_LEN, crc32fast::hash(table)] {
            header.extend_from_slice(&value.to_le_bytes());
        }
        let crc = crc32fast::hash(&header);
        if let Some(place) = header.get_mut(16..20) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        header.resize(SECTOR, 0);
        header
    }
}

/// One partition over the whole disk, so that tools that know no GPT keep off.
fn protective_mbr(disk_sectors: u64) -> Vec<u8> {
    let mut mbr = vec![0; MBR_PARTITIONS];
    // Not bootable, from the second sector (its cylinder, head, sector), type, to the end.
    mbr.extend_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    mbr.extend_from_slice(&1_u32.to_le_bytes());
    let sectors = u32::try_from(disk_sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    mbr.extend_from_slice(&sectors.to_le_bytes());
    mbr.resize(SECTOR - 2, 0);
    mbr.extend_from_slice(&[0x55, 0xaa]);
    mbr
}

fn write_entry(entry: &mut [u8], partition: &GptPartition) -> Result<(), Error> {
    let name: Vec<u16> = partition.name.encode_utf16().collect();
    if name.len() > NAME_UNITS {
        return Err(Error::Environment { what: WHAT, reason: "a partition's name is too long" });
    }
    let mut bytes = Vec::with_capacity(ENTRY);
    bytes.extend_from_slice(&partition.type_guid.to_disk());
    bytes.extend_from_slice(&partition.guid.to_disk());
    for value in [partition.first_sector, partition.last_sector, partition.attributes] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend(name.into_iter().flat_map(u16::to_le_bytes));
    bytes.resize(ENTRY, 0);
    entry.copy_from_slice(&bytes);
    Ok(())
}

pub(crate) fn read_entry(entry: &[u8]) -> Result<GptPartition, Error> {
    let units = entry.get(56..ENTRY).unwrap_or_default().chunks_exact(2);
    let units: Vec<u16> = units
        .map(|unit| unit.try_into().map_or(0, u16::from_le_bytes))
        .take_while(|unit| *unit != 0)
        .collect();
    Ok(GptPartition {
        type_guid: guid(entry, 0).unwrap_or(Guid([0; 16])),
        guid: guid(entry, 16).unwrap_or(Guid([0; 16])),
        first_sector: number(entry, 32, 8)?,
        last_sector: number(entry, 40, 8)?,
        attributes: number(entry, 48, 8)?,
        name: String::from_utf16_lossy(&units),
    })
}

fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64, Error> {
    let field = bytes
        .get(at..at.saturating_add(len))
        .ok_or(Error::Environment { what: WHAT, reason: "it is too short" })?;
    Ok(field.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

/// The GUID there, if it is not that of an unused entry.
fn guid(bytes: &[u8], at: usize) -> Option<Guid> {
    let field: [u8; 16] = bytes.get(at..at.saturating_add(16))?.try_into().ok()?;
    (field != [0; 16]).then(|| Guid::from_disk(field))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
mod tests {
    use super::*;

    fn gpt() -> Gpt {
        let partition = |index: u64, name: &str| GptPartition {
            type_guid: Guid::from_u128(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4),
            guid: Guid::from_u128(u128::from(index) + 7),
            first_sector: 2048 * index,
            last_sector: 2048 * index + 2047,
            attributes: GptPartition::LEGACY_BOOTABLE,
            name: name.to_owned(),
        };
        Gpt {
            disk_guid: Guid::from_u128(1),
            disk_sectors: 2048 * 8,
            partitions: vec![partition(1, "boot"), partition(3, "wurzel-ß")],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let image = gpt().encode().unwrap();
        assert_eq!(image.front.len() as u64, Gpt::FRONT_LEN);
        assert_eq!(image.back.len() as u64, Gpt::BACK_LEN);
        assert_eq!(Gpt::parse(&image.front).unwrap(), gpt());
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let front = gpt().encode().unwrap().front;
        for at in (SECTOR..SECTOR + HEADER).chain(2 * SECTOR..2 * SECTOR + 2 * ENTRY) {
            let mut damaged = front.clone();
            damaged[at] ^= 1;
            assert!(Gpt::parse(&damaged).is_err(), "byte {at}");
        }
        assert!(Gpt::parse(&front[..600]).is_err());
        assert!(Gpt::parse(&[]).is_err());
    }

    #[test]
    fn partitions_stay_apart_and_on_the_disk() {
        let mut overlapping = gpt();
        overlapping.partitions[1].first_sector = 2048 * 2 - 1;
        assert!(overlapping.encode().is_err());
        let mut leaving = gpt();
        leaving.partitions[1].last_sector = leaving.disk_sectors - 2;
        assert!(leaving.encode().is_err());
        let mut early = gpt();
        early.partitions[0].first_sector = 33;
        assert!(early.encode().is_err());
    }
}
