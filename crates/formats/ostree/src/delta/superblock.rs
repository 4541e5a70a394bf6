//! Superblocks: `(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))`.
//!
//! | # | field |
//! | --- | --- |
//! | 0 | metadata: `ostree.endianness`, inline parts, what is kept beside the commit |
//! | 1 | seconds since 1970, big-endian |
//! | 2, 3 | from (0 or 32 bytes), to |
//! | 4 | the target's commit object |
//! | 5 | dependencies: always empty |
//! | 6 | parts: version, SHA-256 of the file, its size, size of its objects, the objects |
//! | 7 | fallbacks, fetched as objects: type, checksum, size as stored, size |
//!
//! The numbers of 6 and 7 are in the byte order of the machine that made them. It is named in the
//! metadata; older deltas leave it to be guessed.

use crate::gvariant::{Member, Value, build_array, build_tuple, split_array, split_tuple};
use crate::{Checksum, Commit, Error, MAX_METADATA_SIZE, Metadata, ObjectName, ObjectType};

use super::{DeltaFormat, DeltaName};

const WHAT: &str = "delta superblock";
/// One object in the list of a part: its type and checksum.
const OBJECT_LEN: usize = 1 + Checksum::LEN;
/// No delta has more parts: with the default size of 32 MB that is 2 TB.
const MAX_PARTS: usize = 1 << 16;

/// The order of the bytes of a superblock's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endianness {
    /// The low byte first; named `l`.
    Little,
    /// The high byte first; named `B`.
    Big,
}

impl Endianness {
    /// The byte that names it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Little => b'l',
            Self::Big => b'B',
        }
    }

    /// The other one.
    #[must_use]
    pub const fn swapped(self) -> Self {
        match self {
            Self::Little => Self::Big,
            Self::Big => Self::Little,
        }
    }

    /// That of the machine this runs on.
    pub const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };

    fn u32(self, value: u32) -> [u8; 4] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }
}

/// What a superblock says about a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeader {
    /// [`DeltaFormat::part_version`]; others are not understood.
    pub version: u32,
    /// SHA-256 of the part's file.
    pub checksum: Checksum,
    /// The size of the file.
    pub size: u64,
    /// The sizes of its objects, together.
    pub uncompressed_size: u64,
    /// The objects it makes, in order.
    pub objects: Vec<ObjectName>,
}

/// An object that is not in the delta and has to be fetched by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The object.
    pub object: ObjectName,
    /// Its size as stored.
    pub compressed_size: u64,
    /// Its size.
    pub uncompressed_size: u64,
}

/// What a delta consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct Superblock {
    /// Inline parts, what is kept beside the commit, and whatever its maker added.
    pub metadata: Metadata,
    /// When it was made, in seconds since 1970.
    pub timestamp: u64,
    /// Which delta it is.
    pub name: DeltaName,
    /// The bytes of the target's commit object.
    pub commit: Vec<u8>,
    /// The parts.
    pub parts: Vec<PartHeader>,
    /// The objects that have to be fetched by themselves.
    pub fallbacks: Vec<Fallback>,
    /// The order of the bytes of its numbers.
    pub endianness: Endianness,
}

const PART: [Member; 5] = [Member::U32, Member::BYTES, Member::U64, Member::U64, Member::BYTES];
const FALLBACK: [Member; 4] =
    [Member { align: 1, fixed: Some(1) }, Member::BYTES, Member::U64, Member::U64];

impl Superblock {
    /// Metadata key: `l` or `B` (`y`).
    pub const ENDIANNESS: &'static str = "ostree.endianness";

    const MEMBERS: [Member; 8] = [
        Metadata::MEMBER,
        Member::U64,
        Member::BYTES,
        Member::BYTES,
        Member::variable(8),
        Member::BYTES,
        Member::variable(8),
        Member::variable(8),
    ];

    /// The bytes of the file. The metadata must name the same [`Endianness`] as the field, or
    /// none at all.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let order = self.endianness;
        let from = self.name.from.as_ref().map_or(&[][..], |from| from.as_bytes().as_slice());
        let parts = build_array(
            8,
            self.parts.iter().map(|part| {
                let fields: [&[u8]; 5] = [
                    &order.u32(part.version),
                    part.checksum.as_bytes(),
                    &order.u64(part.size),
                    &order.u64(part.uncompressed_size),
                    &encode_objects(&part.objects),
                ];
                build_tuple(&PART.into_iter().zip(fields).collect::<Vec<_>>())
            }),
        );
        let fallbacks = build_array(
            8,
            self.fallbacks.iter().map(|fallback| {
                let fields: [&[u8]; 4] = [
                    &[fallback.object.object_type.number()],
                    fallback.object.checksum.as_bytes(),
                    &order.u64(fallback.compressed_size),
                    &order.u64(fallback.uncompressed_size),
                ];
                build_tuple(&FALLBACK.into_iter().zip(fields).collect::<Vec<_>>())
            }),
        );
        let fields: [&[u8]; 8] = [
            &self.metadata.encode(),
            &self.timestamp.to_be_bytes(),
            from,
            self.name.to.as_bytes(),
            &self.commit,
            &[],
            &parts,
            &fallbacks,
        ];
        build_tuple(&Self::MEMBERS.into_iter().zip(fields).collect::<Vec<_>>())
    }

    /// Reads a superblock. The commit in it must be the target.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        if data.len() > MAX_METADATA_SIZE {
            let (size, limit) = (data.len() as u64, MAX_METADATA_SIZE as u64);
            return Err(Error::TooLarge { what: WHAT, size, limit });
        }
        let [metadata, timestamp, from, to, commit, dependencies, parts, fallbacks] =
            split_tuple(WHAT, data, Self::MEMBERS)?;
        if !dependencies.is_empty() {
            return Err(Error::malformed(WHAT, "it depends on other deltas"));
        }
        let metadata = Metadata::decode(metadata)?;
        let from = if from.is_empty() { None } else { Some(Checksum::from_slice(from)?) };
        let name = DeltaName::new(from, Checksum::from_slice(to)?).in_format(format(&metadata)?);
        if Checksum::of(commit) != name.to {
            return Err(Error::malformed(WHAT, "its commit is not its target"));
        }
        Commit::decode(commit)?;
        let named = named_endianness(&metadata)?;
        let order = named.unwrap_or(Endianness::NATIVE);
        let mut superblock = Self {
            metadata,
            timestamp: u64::from_be_bytes(number(timestamp)?),
            name,
            commit: commit.to_vec(),
            parts: decode_parts(parts, order)?,
            fallbacks: decode_fallbacks(fallbacks, order)?,
            endianness: order,
        };
        if superblock.encode() != data {
            return Err(Error::NotNormalForm { what: WHAT });
        }
        if named.is_none() && superblock.looks_swapped() {
            superblock.endianness = order.swapped();
            superblock.parts = decode_parts(parts, order.swapped())?;
            superblock.fallbacks = decode_fallbacks(fallbacks, order.swapped())?;
        }
        Ok(superblock)
    }

    /// The bytes of a part that lies in the superblock itself: compression byte and content.
    #[must_use]
    pub fn inline_part(&self, number: usize) -> Option<(u8, &[u8])> {
        let Value::Tuple(members) = self.metadata.get(&self.name.part_path(number))? else {
            return None;
        };
        match members.as_slice() {
            [Value::Byte(compression), Value::Bytes(content)] => Some((*compression, content)),
            _ => None,
        }
    }

    /// What is to be kept beside the commit.
    pub fn commit_meta(&self) -> Result<Option<Metadata>, Error> {
        let value = self.metadata.get(&self.name.commit_meta_key());
        value.map(|value| Metadata::from_value(value.clone())).transpose()
    }

    /// Whether the order of bytes was guessed, because the delta does not name it.
    #[must_use]
    pub fn guessed_endianness(&self) -> bool {
        self.metadata.get(Self::ENDIANNESS).is_none()
    }

    /// Whether the sizes would be smaller in the other order of bytes: real ones use the low half
    /// of their bytes at most, so that one order makes them huge.
    fn looks_swapped(&self) -> bool {
        let parts = self.parts.iter().flat_map(|part| [part.size, part.uncompressed_size]);
        let fallbacks = self.fallbacks.iter();
        let fallbacks = fallbacks.flat_map(|file| [file.compressed_size, file.uncompressed_size]);
        let sizes: Vec<u64> = parts.chain(fallbacks).collect();
        let largest = sizes.iter().max();
        largest > sizes.iter().map(|size| size.swap_bytes()).max().as_ref()
    }
}

fn format(metadata: &Metadata) -> Result<DeltaFormat, Error> {
    match metadata.get(DeltaFormat::KEY) {
        None => Ok(DeltaFormat::Ostree),
        Some(Value::Byte(DeltaFormat::VERSION)) => Ok(DeltaFormat::Updraft),
        Some(_) => Err(Error::malformed(WHAT, "its format is of a newer version")),
    }
}

fn named_endianness(metadata: &Metadata) -> Result<Option<Endianness>, Error> {
    match metadata.get(Superblock::ENDIANNESS) {
        None => Ok(None),
        Some(Value::Byte(b'l')) => Ok(Some(Endianness::Little)),
        Some(Value::Byte(b'B')) => Ok(Some(Endianness::Big)),
        Some(_) => Err(Error::malformed(WHAT, "its endianness is neither l nor B")),
    }
}

fn number<const N: usize>(data: &[u8]) -> Result<[u8; N], Error> {
    data.try_into().map_err(|_| Error::malformed(WHAT, "a number is cut short"))
}

fn decode_parts(data: &[u8], order: Endianness) -> Result<Vec<PartHeader>, Error> {
    let elements = split_array(WHAT, data, 8)?;
    if elements.len() > MAX_PARTS {
        let (size, limit) = (elements.len() as u64, MAX_PARTS as u64);
        return Err(Error::TooLarge { what: WHAT, size, limit });
    }
    let part = |element| {
        let [version, checksum, size, uncompressed, objects] = split_tuple(WHAT, element, PART)?;
        // The conversion is its own inverse, so it serves for reading too.
        Ok(PartHeader {
            version: u32::from_ne_bytes(order.u32(u32::from_ne_bytes(number(version)?))),
            checksum: Checksum::from_slice(checksum)?,
            size: u64::from_ne_bytes(order.u64(u64::from_ne_bytes(number(size)?))),
            uncompressed_size: u64::from_ne_bytes(
                order.u64(u64::from_ne_bytes(number(uncompressed)?)),
            ),
            objects: decode_objects(objects)?,
        })
    };
    elements.into_iter().map(part).collect()
}

fn decode_fallbacks(data: &[u8], order: Endianness) -> Result<Vec<Fallback>, Error> {
    let fallback = |element| {
        let [object_type, checksum, compressed, uncompressed] =
            split_tuple(WHAT, element, FALLBACK)?;
        let [object_type] = number(object_type)?;
        let object_type = object_type_of(object_type)?;
        Ok(Fallback {
            object: ObjectName::new(Checksum::from_slice(checksum)?, object_type),
            compressed_size: u64::from_ne_bytes(order.u64(u64::from_ne_bytes(number(compressed)?))),
            uncompressed_size: u64::from_ne_bytes(
                order.u64(u64::from_ne_bytes(number(uncompressed)?)),
            ),
        })
    };
    split_array(WHAT, data, 8)?.into_iter().map(fallback).collect()
}

fn encode_objects(objects: &[ObjectName]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(objects.len() * OBJECT_LEN);
    for object in objects {
        bytes.push(object.object_type.number());
        bytes.extend_from_slice(object.checksum.as_bytes());
    }
    bytes
}

fn decode_objects(data: &[u8]) -> Result<Vec<ObjectName>, Error> {
    if !data.len().is_multiple_of(OBJECT_LEN) {
        return Err(Error::malformed(WHAT, "a list of objects is cut short"));
    }
    let object = |entry: &[u8]| {
        let (object_type, checksum) = entry.split_at(1);
        let [object_type] = number(object_type)?;
        Ok(ObjectName::new(Checksum::from_slice(checksum)?, object_type_of(object_type)?))
    };
    data.chunks_exact(OBJECT_LEN).map(object).collect()
}

/// What a delta may bring: files, directories and commits, nothing that is not named by its bytes.
fn object_type_of(number: u8) -> Result<ObjectType, Error> {
    let known = [ObjectType::File, ObjectType::DirTree, ObjectType::DirMeta, ObjectType::Commit];
    known
        .into_iter()
        .find(|known| known.number() == number)
        .ok_or_else(|| Error::malformed(WHAT, format!("Invalid object type '{number}'")))
}
