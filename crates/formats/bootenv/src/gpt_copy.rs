//! [`GptCopy`]: one of the two copies of a partition table, whose attributes can be changed while all
//! else stays as it was found; [`SlotAttributes`]: what boot loaders count in them.
//!
//! ```text
//! header, one sector              entries, wherever the header says
//!  0  "EFI PART"                   0  type GUID        48  attributes (8 bytes):
//! 12  its length (at least 92)    16  own GUID             48–51  priority, 0: never started
//! 16  CRC-32 of the header        32  first sector         52–55  tries that are left
//! 24  own sector                  40  last sector          56     works
//! 32  sector of the other copy    56  name, UTF-16
//! 72  first sector of the entries
//! 80  number of entries, 84 their length, 88 their CRC-32
//! ```
//! After the UEFI specification 2.10, section 5.3; the bits are those of ChromeOS (Disk Format,
//! "Selecting the kernel") and of Bottlerocket.

use crate::{Error, GptPartition};

const WHAT: &str = "partition table";
const SIGNATURE: &[u8; 8] = b"EFI PART";
const MIN_HEADER: usize = 92;
const MIN_ENTRY: u64 = 128;
/// Real tables have 16 KiB.
const MAX_ENTRIES_LEN: u64 = 1 << 20;
const ATTRIBUTES: usize = 48;

/// Where the entries of a copy are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GptEntriesPlace {
    /// The first sector.
    pub sector: u64,
    /// Bytes, at most 1 MiB.
    pub len: usize,
}

/// A copy of a partition table that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptCopy {
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_len: usize,
}

impl GptCopy {
    /// Where the entries are that belong to the header that was found in this sector.
    ///
    /// # Errors
    /// When it is no header, damaged, or of another sector.
    pub fn entries_place(header: &[u8], sector: u64) -> Result<GptEntriesPlace, Error> {
        let bad = |reason| Error::Environment { what: WHAT, reason };
        if !header.starts_with(SIGNATURE) {
            return Err(bad("there is no GPT header"));
        }
        let len = usize::try_from(number(header, 12, 4)).unwrap_or(usize::MAX);
        let mut plain = header.get(..len).ok_or_else(|| bad("its header is too long"))?.to_vec();
        if len < MIN_HEADER {
            return Err(bad("its header is too short"));
        }
        put(&mut plain, 16, &[0; 4]);
        if number(header, 16, 4) != u64::from(crc32fast::hash(&plain)) {
            return Err(bad("the header's checksum is wrong"));
        }
        if number(header, 24, 8) != sector {
            return Err(bad("its header belongs elsewhere"));
        }
        let (count, entry) = (number(header, 80, 4), number(header, 84, 4));
        let len = count.saturating_mul(entry);
        if entry < MIN_ENTRY || !entry.is_power_of_two() || len == 0 || len > MAX_ENTRIES_LEN {
            return Err(bad("its entries are laid out in an unusual way"));
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(GptEntriesPlace { sector: number(header, 72, 8), len })
    }

    /// A copy of its header and its entries.
    ///
    /// # Errors
    /// When they do not belong together, or are damaged.
    pub fn parse(header: Vec<u8>, sector: u64, entries: Vec<u8>) -> Result<Self, Error> {
        let place = Self::entries_place(&header, sector)?;
        let is_whole = entries.len() == place.len
            && number(&header, 88, 4) == u64::from(crc32fast::hash(&entries));
        if !is_whole {
            let reason = "the checksum of its entries is wrong";
            return Err(Error::Environment { what: WHAT, reason });
        }
        let entry_len = usize::try_from(number(&header, 84, 4)).unwrap_or(usize::MAX);
        Ok(Self { header, entries, entry_len })
    }

    /// The header's bytes, one sector.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The bytes of the entries.
    #[must_use]
    pub fn entries(&self) -> &[u8] {
        &self.entries
    }

    /// The sector of the other copy's header.
    #[must_use]
    pub fn other_sector(&self) -> u64 {
        number(&self.header, 32, 8)
    }

    /// The first sector of its entries.
    #[must_use]
    pub fn entries_sector(&self) -> u64 {
        number(&self.header, 72, 8)
    }

    /// The partitions that there are, with their numbers, from 1.
    pub fn partitions(&self) -> impl Iterator<Item = (usize, GptPartition)> {
        let all = self.entries.chunks_exact(self.entry_len).enumerate();
        let used = all.filter(|(_, entry)| entry.iter().take(16).any(|byte| *byte != 0));
        used.filter_map(|(index, entry)| Some((index + 1, crate::gpt::read_entry(entry).ok()?)))
    }

    /// Sets the attributes of the partition with this number; nothing if there is none.
    pub fn set_attributes(&mut self, number: usize, attributes: u64) {
        let at = number.checked_sub(1).and_then(|index| index.checked_mul(self.entry_len));
        if let Some(at) = at.and_then(|at| at.checked_add(ATTRIBUTES)) {
            put(&mut self.entries, at, &attributes.to_le_bytes());
        }
        self.seal();
    }

    /// The other copy with the same content, whose entries begin at this sector.
    #[must_use]
    pub fn mirrored(&self, entries_sector: u64) -> Self {
        let mut other = self.clone();
        let (own, others) = (number(&self.header, 24, 8), self.other_sector());
        put(&mut other.header, 24, &others.to_le_bytes());
        put(&mut other.header, 32, &own.to_le_bytes());
        put(&mut other.header, 72, &entries_sector.to_le_bytes());
        other.seal();
        other
    }

    fn seal(&mut self) {
        let crc = crc32fast::hash(&self.entries);
        put(&mut self.header, 88, &crc.to_le_bytes());
        put(&mut self.header, 16, &[0; 4]);
        let len = usize::try_from(number(&self.header, 12, 4)).unwrap_or(MIN_HEADER);
        let crc = crc32fast::hash(self.header.get(..len).unwrap_or_default());
        put(&mut self.header, 16, &crc.to_le_bytes());
    }
}

/// What a boot loader that counts in the attributes of partitions knows of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotAttributes {
    /// The highest is started first. 0: never.
    pub priority: u8,
    /// How often it may still be tried.
    pub tries: u8,
    /// It works: it is not counted.
    pub successful: bool,
}

impl SlotAttributes {
    /// The largest priority, and the largest number of tries.
    pub const MAX: u8 = 15;
    const BITS: u64 = 0x1ff << 48;

    /// Those of a partition.
    #[must_use]
    pub const fn of(attributes: u64) -> Self {
        Self {
            priority: (attributes >> 48 & 15) as u8,
            tries: (attributes >> 52 & 15) as u8,
            successful: attributes >> 56 & 1 == 1,
        }
    }

    /// A partition's attributes with these in them.
    #[must_use]
    pub fn within(self, attributes: u64) -> u64 {
        let bounded = |value: u8| u64::from(value.min(Self::MAX));
        let own = bounded(self.priority) << 48
            | bounded(self.tries) << 52
            | u64::from(self.successful) << 56;
        attributes & !Self::BITS | own
    }

    /// Whether it is started at all.
    #[must_use]
    pub const fn is_bootable(self) -> bool {
        self.priority > 0 && (self.successful || self.tries > 0)
    }
}

/// A number with its low byte first; what is not there is 0, and no checksum fits it.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let field = bytes.get(at..at.saturating_add(len)).unwrap_or_default();
    field.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(value.len())) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::{GptCopy, SlotAttributes};
    use crate::{Gpt, GptPartition, Guid};

    fn table() -> Gpt {
        let partition = |name: &str, first| GptPartition {
            type_guid: Guid([1; 16]),
            guid: Guid([2; 16]),
            first_sector: first,
            last_sector: first + 7,
            attributes: GptPartition::LEGACY_BOOTABLE,
            name: name.to_owned(),
        };
        let partitions = vec![partition("KERN-A", 64), partition("KERN-B", 128)];
        Gpt { disk_guid: Guid([3; 16]), disk_sectors: 4096, partitions }
    }

    fn copies() -> [GptCopy; 2] {
        let image = table().encode().unwrap();
        let (header, entries) = image.front[512..].split_at(512);
        let front = GptCopy::parse(header.to_vec(), 1, entries.to_vec()).unwrap();
        let (entries, header) = image.back.split_at(image.back.len() - 512);
        assert_eq!(front.other_sector(), 4095);
        [front, GptCopy::parse(header.to_vec(), 4095, entries.to_vec()).unwrap()]
    }

    #[test]
    fn a_change_touches_the_attributes_and_the_checksums_only() {
        let [mut front, back] = copies();
        assert_eq!(front.mirrored(back.entries_sector()), back);
        let attributes = SlotAttributes { priority: 15, tries: 3, successful: false };
        front.set_attributes(2, attributes.within(GptPartition::LEGACY_BOOTABLE));
        let mut expected = table();
        expected.partitions[1].attributes = 0x003f_0000_0000_0004;
        let image = expected.encode().unwrap();
        assert_eq!([front.header(), front.entries()].concat(), image.front[512..]);
        let back = front.mirrored(back.entries_sector());
        assert_eq!([back.entries(), back.header()].concat(), image.back);
        let read: Vec<_> = front.partitions().collect();
        assert_eq!((read[1].0, read[1].1.name.as_str()), (2, "KERN-B"));
        assert_eq!(SlotAttributes::of(read[1].1.attributes), attributes);
    }

    #[test]
    fn what_is_damaged_or_elsewhere_is_refused() {
        let [front, _] = copies();
        let parse = |header: &[u8], sector, entries: &[u8]| {
            GptCopy::parse(header.to_vec(), sector, entries.to_vec())
        };
        for at in 0..92 {
            let mut header = front.header().to_vec();
            header[at] ^= 1;
            parse(&header, 1, front.entries()).unwrap_err();
        }
        let mut entries = front.entries().to_vec();
        entries[300] ^= 1;
        parse(front.header(), 1, &entries).unwrap_err();
        parse(front.header(), 2, front.entries()).unwrap_err();
        parse(front.header(), 1, &front.entries()[1..]).unwrap_err();
        parse(&front.header()[..80], 1, front.entries()).unwrap_err();
        parse(&[], 1, &[]).unwrap_err();
    }
}
