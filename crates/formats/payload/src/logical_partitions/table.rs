//! [`LogicalTable`]: which partitions there are, and of which pieces.
//!
//! ```text
//! header, 128 bytes, or 256 from version 10.2 on
//!     "0PLA", version, length, SHA-256, length of tables, SHA-256 of tables
//!     where partitions, extents, groups and devices are among the tables, how many, and of which length
//!     from version 10.2 on: flags
//! partitions   name, attributes, first extent, how many extents, group
//! extents      sectors, kind (0 linear, 1 zeros), first sector, device
//! groups       name, flags, the most bytes of its partitions (0: no limit)
//! devices      first sector, alignment, its offset, bytes, name, flags
//! ```

use sha2::{Digest as _, Sha256};

use super::fields::{Fields, name_at, u16_at, u32_at, u64_at};
use super::{Geometry, put_sum, sum_without};
use crate::Error;

const MAGIC: u32 = 0x414c_5030;
const MAJOR: u16 = 10;
const NEWEST_MINOR: u16 = 2;
/// From this minor version on partitions may have been written by an update.
const MINOR_UPDATED: u16 = 1;
/// From this minor version on the header is longer.
const MINOR_LONG: u16 = 2;
const HEADER: usize = 128;
const LONG_HEADER: usize = 256;
const PARTITION: usize = 52;
const EXTENT: usize = 24;
const GROUP: usize = 48;
const DEVICE: usize = 64;
const LINEAR: u32 = 0;
const ZERO: u32 = 1;

/// What the partitions of `super` are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalTable {
    /// 0 to 2.
    pub minor_version: u16,
    /// What the device can do; for people.
    pub flags: u32,
    /// The partitions.
    pub partitions: Vec<LogicalPartition>,
    /// What limits them.
    pub groups: Vec<LogicalGroup>,
    /// The partitions that they lie on; the first one has this table.
    pub devices: Vec<LogicalDevice>,
}

/// A logical partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalPartition {
    /// Its name.
    pub name: String,
    /// Flags, such as [`READ_ONLY`](Self::READ_ONLY).
    pub attributes: u32,
    /// The name of its group.
    pub group: String,
    /// What it is made of, one after the other.
    pub extents: Vec<LogicalExtent>,
}

impl LogicalPartition {
    /// The system only reads it.
    pub const READ_ONLY: u32 = 1;
    /// Its name is one of two slots.
    pub const BY_SLOT: u32 = 1 << 1;
    /// An update by snapshots made it.
    pub const UPDATED: u32 = 1 << 2;
    /// Nobody uses it.
    pub const DISABLED: u32 = 1 << 3;

    /// How many sectors it has.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.extents.iter().map(LogicalExtent::sectors).fold(0, u64::saturating_add)
    }
}

/// A piece of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogicalExtent {
    /// Sectors of a device.
    Linear {
        /// How many.
        sectors: u64,
        /// The device, by its number in the table.
        device: u32,
        /// The first one.
        start: u64,
    },
    /// Zeros, which lie nowhere.
    Zero {
        /// How many sectors of them.
        sectors: u64,
    },
}

impl LogicalExtent {
    /// How many sectors it has.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        let (Self::Linear { sectors, .. } | Self::Zero { sectors }) = self;
        *sectors
    }
}

/// Partitions that together have no more than so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalGroup {
    /// Its name.
    pub name: String,
    /// Flags, such as [`BY_SLOT`](Self::BY_SLOT).
    pub flags: u32,
    /// How many bytes; 0 for no limit.
    pub max_size: u64,
}

impl LogicalGroup {
    /// Its name is one of two slots.
    pub const BY_SLOT: u32 = 1;
}

/// A partition that logical ones lie on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalDevice {
    /// The first sector that is theirs.
    pub first_sector: u64,
    /// Of how many bytes the beginning of a new piece is a multiple; 0 for no such limit.
    pub alignment: u32,
    /// Where that is counted from.
    pub alignment_offset: u32,
    /// How many bytes it has.
    pub size: u64,
    /// Its name in the disk's partition table.
    pub name: String,
    /// Flags, such as [`BY_SLOT`](Self::BY_SLOT).
    pub flags: u32,
}

impl LogicalDevice {
    /// Its name is one of two slots.
    pub const BY_SLOT: u32 = 1;
}

impl LogicalTable {
    /// The partition with this name.
    #[must_use]
    pub fn partition(&self, name: &str) -> Option<&LogicalPartition> {
        self.partitions.iter().find(|partition| partition.name == name)
    }

    /// How many of these bytes are a table and what belongs to it. The rest of its room says nothing.
    ///
    /// # Errors
    /// [`Error::LogicalPartitions`]: it is damaged, or of a version that is not known.
    pub fn length(geometry: &Geometry, bytes: &[u8]) -> Result<usize, Error> {
        let (header, tables) = split(geometry, bytes)?;
        Ok(header.len() + tables.len())
    }

    /// Reads one from the bytes at one of the [places](Geometry::table_offsets) of its slot.
    ///
    /// # Errors
    /// [`Error::LogicalPartitions`]: it is damaged, of a version that is not known, or says what cannot
    /// be.
    pub fn parse(geometry: &Geometry, bytes: &[u8]) -> Result<Self, Error> {
        let (header, tables) = split(geometry, bytes)?;
        let minor_version = u16_at(header, 6);
        let of = |at, length| entries(header, at, length, tables);
        let [partition_entries, extent_entries] = [of(80, PARTITION)?, of(92, EXTENT)?];
        let [group_entries, device_entries] = [of(104, GROUP)?, of(116, DEVICE)?];
        let all = [&partition_entries, &extent_entries, &group_entries, &device_entries];
        if all.iter().map(|own| own.len()).sum::<usize>() > tables.len() {
            return Err(bad("its tables share bytes"));
        }
        let extents = extent_entries.chunks_exact(EXTENT).map(read_extent);
        let extents = extents.collect::<Result<Vec<_>, Error>>()?;
        let groups = group_entries.chunks_exact(GROUP).map(read_group);
        let groups = groups.collect::<Result<Vec<_>, Error>>()?;
        let devices = device_entries.chunks_exact(DEVICE).map(read_device);
        let devices = devices.collect::<Result<Vec<_>, Error>>()?;
        let (mut partitions, mut used) = (Vec::new(), 0);
        for entry in partition_entries.chunks_exact(PARTITION) {
            let partition = read_partition(entry, &extents, &groups)?;
            used += partition.extents.len();
            if used > extents.len() {
                let problem = format!("partition {} has extents of another one", partition.name);
                return Err(bad(problem));
            }
            partitions.push(partition);
        }
        let flags = if minor_version >= MINOR_LONG { u32_at(header, 128) } else { 0 };
        let table = Self { minor_version, flags, partitions, groups, devices };
        table.check(geometry)?;
        Ok(table)
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`Error::LogicalPartitions`]: it says what cannot be, or there is no room for so much.
    pub fn encode(&self, geometry: &Geometry) -> Result<Vec<u8>, Error> {
        self.check(geometry)?;
        let (mut tables, mut extents) = (Fields::default(), Fields::default());
        let mut first = 0;
        for partition in &self.partitions {
            let group = self.groups.iter().position(|group| group.name == partition.group);
            let (group, count) = (index(group.unwrap_or(0)), index(partition.extents.len()));
            tables.name(&partition.name).u32(partition.attributes);
            tables.u32(first).u32(count).u32(group);
            partition.extents.iter().for_each(|extent| write_extent(&mut extents, *extent));
            first += count;
        }
        tables.bytes(&extents.0);
        for group in &self.groups {
            tables.name(&group.name).u32(group.flags).u64(group.max_size);
        }
        for device in &self.devices {
            tables.u64(device.first_sector).u32(device.alignment).u32(device.alignment_offset);
            tables.u64(device.size).name(&device.name).u32(device.flags);
        }
        let mut bytes = self.header(first, &tables.0);
        bytes.extend(tables.0);
        if bytes.len() as u64 > u64::from(geometry.max_size) {
            let (len, room) = (bytes.len(), geometry.max_size);
            return Err(bad(format!("it has {len} bytes, and there is room for {room}")));
        }
        Ok(bytes)
    }

    fn header(&self, extents: u32, tables: &[u8]) -> Vec<u8> {
        let length = if self.minor_version >= MINOR_LONG { LONG_HEADER } else { HEADER };
        let mut fields = Fields::default();
        fields.u32(MAGIC).u16(MAJOR).u16(self.minor_version).u32(index(length)).bytes(&[0; 32]);
        fields.u32(index(tables.len())).bytes(&Sha256::digest(tables));
        let mut offset = 0;
        for (count, size) in [
            (index(self.partitions.len()), PARTITION),
            (extents, EXTENT),
            (index(self.groups.len()), GROUP),
            (index(self.devices.len()), DEVICE),
        ] {
            fields.u32(offset).u32(count).u32(index(size));
            offset += count * index(size);
        }
        fields.u32(self.flags);
        let mut bytes = fields.0;
        bytes.resize(length, 0);
        put_sum(&mut bytes, 12);
        bytes
    }

    /// The attributes that partitions of this version may have.
    pub(super) fn known_attributes(&self) -> u32 {
        let first = LogicalPartition::READ_ONLY | LogicalPartition::BY_SLOT;
        let later = LogicalPartition::UPDATED | LogicalPartition::DISABLED;
        if self.minor_version >= MINOR_UPDATED { first | later } else { first }
    }

    pub(super) fn is_known_version(&self) -> bool {
        self.minor_version <= NEWEST_MINOR && (self.minor_version >= MINOR_LONG || self.flags == 0)
    }
}

/// The header and the tables, both as their sums say.
fn split<'a>(geometry: &Geometry, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Error> {
    let cut = || bad("it is cut off");
    let first = bytes.get(..HEADER).ok_or_else(cut)?;
    if u32_at(first, 0) != MAGIC {
        return Err(bad("it does not begin with `0PLA`"));
    }
    let (major, minor) = (u16_at(first, 4), u16_at(first, 6));
    if major != MAJOR || minor > NEWEST_MINOR {
        let problem = format!("its version is {major}.{minor}, and 10.0 to 10.2 are known");
        return Err(bad(problem));
    }
    let length = if minor >= MINOR_LONG { LONG_HEADER } else { HEADER };
    if u32_at(first, 8) as usize != length {
        return Err(bad("its header has another length than its version"));
    }
    let (header, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
    if header.get(12..44) != Some(&sum_without(header, 12)[..]) {
        return Err(bad("it is damaged: the SHA-256 of its header is another"));
    }
    let tables = u32_at(header, 44) as usize;
    if length + tables > geometry.max_size as usize {
        return Err(bad("it is longer than there is room for"));
    }
    let tables = rest.get(..tables).ok_or_else(cut)?;
    if header.get(48..80) != Some(&Sha256::digest(tables)[..]) {
        return Err(bad("it is damaged: the SHA-256 of its tables is another"));
    }
    Ok((header, tables))
}

/// The entries of one of the tables, which the header describes at this place.
fn entries<'a>(
    header: &[u8],
    at: usize,
    length: usize,
    tables: &'a [u8],
) -> Result<&'a [u8], Error> {
    let (offset, count, size) =
        (u32_at(header, at), u32_at(header, at + 4), u32_at(header, at + 8));
    if size as usize != length {
        return Err(bad(format!("one of its tables has entries of {size} bytes, not {length}")));
    }
    let all = (count as usize).checked_mul(length);
    let end = all.and_then(|all| all.checked_add(offset as usize));
    let own = end.and_then(|end| tables.get(offset as usize..end));
    own.ok_or_else(|| bad("one of its tables is outside of it"))
}

fn read_group(entry: &[u8]) -> Result<LogicalGroup, Error> {
    let (flags, max_size) = (u32_at(entry, 36), u64_at(entry, 40));
    Ok(LogicalGroup { name: name(entry, 0, "a group")?, flags, max_size })
}

fn read_device(entry: &[u8]) -> Result<LogicalDevice, Error> {
    Ok(LogicalDevice {
        first_sector: u64_at(entry, 0),
        alignment: u32_at(entry, 8),
        alignment_offset: u32_at(entry, 12),
        size: u64_at(entry, 16),
        name: name(entry, 24, "a device")?,
        flags: u32_at(entry, 60),
    })
}

fn read_extent(entry: &[u8]) -> Result<LogicalExtent, Error> {
    let sectors = u64_at(entry, 0);
    match u32_at(entry, 8) {
        LINEAR => {
            let (start, device) = (u64_at(entry, 12), u32_at(entry, 20));
            Ok(LogicalExtent::Linear { sectors, device, start })
        }
        ZERO => Ok(LogicalExtent::Zero { sectors }),
        kind => Err(bad(format!("an extent is of the unknown kind {kind}"))),
    }
}

fn write_extent(fields: &mut Fields, extent: LogicalExtent) {
    match extent {
        LogicalExtent::Linear { sectors, device, start } => {
            fields.u64(sectors).u32(LINEAR).u64(start).u32(device);
        }
        LogicalExtent::Zero { sectors } => {
            fields.u64(sectors).u32(ZERO).u64(0).u32(0);
        }
    }
}

fn read_partition(
    entry: &[u8],
    extents: &[LogicalExtent],
    groups: &[LogicalGroup],
) -> Result<LogicalPartition, Error> {
    let name = name(entry, 0, "a partition")?;
    let (first, count) = (u32_at(entry, 40) as usize, u32_at(entry, 44) as usize);
    let own = first.checked_add(count).and_then(|end| extents.get(first..end));
    let own = own.ok_or_else(|| bad(format!("partition {name} has extents that are not there")))?;
    let group = groups.get(u32_at(entry, 48) as usize);
    let group = group.ok_or_else(|| bad(format!("partition {name} is of no group")))?;
    Ok(LogicalPartition {
        attributes: u32_at(entry, 36),
        group: group.name.clone(),
        extents: own.to_vec(),
        name,
    })
}

fn name(entry: &[u8], at: usize, whose: &str) -> Result<String, Error> {
    let name = name_at(entry, at).ok_or_else(|| bad(format!("the name of {whose} is damaged")))?;
    Ok(name.to_owned())
}

/// A number that the limits of a table keep small.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(super) fn bad(problem: impl Into<String>) -> Error {
    Error::LogicalPartitions(problem.into())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::{
        Geometry, LogicalDevice, LogicalExtent, LogicalGroup, LogicalPartition, LogicalTable,
    };

    const GEOMETRY: Geometry = Geometry { max_size: 4096, slots: 1, block_size: 4096 };

    fn linear(start: u64, sectors: u64) -> LogicalExtent {
        LogicalExtent::Linear { sectors, device: 0, start }
    }

    fn partition(name: &str, extents: &[LogicalExtent]) -> LogicalPartition {
        let (name, group) = (name.to_owned(), "main".to_owned());
        LogicalPartition { name, attributes: 1, group, extents: extents.to_vec() }
    }

    fn table() -> LogicalTable {
        let group =
            |name: &str, max_size| LogicalGroup { name: name.to_owned(), flags: 0, max_size };
        LogicalTable {
            minor_version: 0,
            flags: 0,
            partitions: vec![
                partition("system", &[linear(2048, 64), linear(2200, 8)]),
                partition("vendor", &[linear(2112, 16), LogicalExtent::Zero { sectors: 8 }]),
                partition("empty", &[]),
            ],
            groups: vec![group("default", 0), group("main", 1 << 20)],
            devices: vec![LogicalDevice {
                first_sector: 2048,
                alignment: 1 << 20,
                alignment_offset: 0,
                size: 8 << 20,
                name: "super".to_owned(),
                flags: 0,
            }],
        }
    }

    #[test]
    fn a_table_of_every_version_reads_back() {
        for minor_version in 0..=2 {
            let mut table = LogicalTable { minor_version, ..table() };
            if minor_version == 1 {
                table.partitions[2].attributes |= LogicalPartition::DISABLED;
            }
            if minor_version == 2 {
                table.flags = 1;
            }
            let mut bytes = table.encode(&GEOMETRY).unwrap();
            let length = bytes.len();
            assert_eq!(
                length,
                [128, 128, 256][usize::from(minor_version)] + 3 * 52 + 4 * 24 + 2 * 48 + 64
            );
            bytes.resize(4096, 0xee);
            assert_eq!(LogicalTable::parse(&GEOMETRY, &bytes).unwrap(), table);
            assert_eq!(LogicalTable::length(&GEOMETRY, &bytes).unwrap(), length);
        }
        assert_eq!(table().partition("system").unwrap().sectors(), 72);
        assert!(table().partition("odm").is_none());
    }

    #[test]
    fn no_damage_goes_unseen() {
        let bytes = table().encode(&GEOMETRY).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(LogicalTable::parse(&GEOMETRY, &damaged).is_err(), "byte {at}");
            assert!(LogicalTable::parse(&GEOMETRY, &bytes[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |words: &str, change: fn(&mut LogicalTable)| {
            let mut table = table();
            change(&mut table);
            let error = table.encode(&GEOMETRY).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        };
        refused("share sectors", |it| it.partitions[1].extents[0] = linear(2111, 2));
        refused("leaves its device", |it| it.partitions[0].extents[0] = linear(2047, 1));
        refused("leaves its device", |it| it.partitions[0].extents[0] = linear(16383, 2));
        refused("leaves its device", |it| it.partitions[0].extents[0] = linear(u64::MAX, 2));
        refused("larger than any disk", |it| {
            it.partitions[1].extents[1] = LogicalExtent::Zero { sectors: u64::MAX };
        });
        refused("no device", |it| {
            it.partitions[0].extents[0] =
                LogicalExtent::Linear { sectors: 1, device: 1, start: 2048 };
        });
        refused("no group", |it| it.partitions[0].group = "other".to_owned());
        refused("there twice", |it| it.partitions[1].name = "system".to_owned());
        refused("there twice", |it| it.groups[1].name = "default".to_owned());
        refused("none may have", |it| it.partitions[0].name = "x".repeat(37));
        refused("none may have", |it| it.partitions[0].name = "../misc".to_owned());
        refused("later version", |it| it.partitions[0].attributes = 4);
        refused("than its version", |it| it.flags = 1);
        refused("than its version", |it| it.minor_version = 3);
        refused("no device", |it| it.devices.clear());
        refused("within the tables", |it| it.devices[0].first_sector = 39);
        refused("is smaller", |it| it.devices[0].size = 1 << 20);
        refused("within sectors", |it| it.devices[0].alignment = 100);
        refused("there is room", |it| {
            it.partitions.extend((0..80).map(|number| partition(&number.to_string(), &[])));
        });
    }

    #[test]
    fn extents_that_several_partitions_name_are_not_copied_for_each() {
        // As somebody would make it who wants memory to run out: by hand, with right sums.
        let mut table = table();
        table.partitions[1].extents = vec![LogicalExtent::Zero { sectors: 8 }; 2];
        let mut bytes = table.encode(&GEOMETRY).unwrap();
        // The third partition has the extents of the second.
        let entry = 128 + 2 * 52;
        bytes[entry + 40] = 2;
        bytes[entry + 44] = 2;
        let sum = Sha256::digest(&bytes[128..]);
        bytes[48..80].copy_from_slice(&sum);
        super::put_sum(&mut bytes[..128], 12);
        let error = LogicalTable::parse(&GEOMETRY, &bytes).unwrap_err().to_string();
        assert!(error.contains("extents of another one"), "{error}");
    }
}
