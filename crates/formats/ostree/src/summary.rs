//! Summaries: `(a(s(taya{sv}))a{sv})`, the refs of a repository and facts about it.
//!
//! The `t` of a ref is the size of its commit object in host order, which is little-endian
//! wherever OSTree runs; numbers inside the dictionaries are big-endian as everywhere.

mod collections;

use crate::gvariant::{Member, Type, Value, build_array, build_tuple, decode_str, encode_str};
use crate::gvariant::{split_array, split_tuple};
use crate::{Checksum, Error, MAX_METADATA_SIZE, Metadata};

const WHAT: &str = "summary";

/// One ref of a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryRef {
    /// The ref.
    pub name: String,
    /// The size of the commit object in bytes.
    pub commit_size: u64,
    /// The commit.
    pub checksum: Checksum,
    /// More about the commit: `ostree.commit.timestamp`, `ostree.commit.version`.
    pub metadata: Metadata,
}

/// The contents of a repository's `summary` file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// The refs, sorted by name.
    pub refs: Vec<SummaryRef>,
    /// Facts about the repository.
    pub metadata: Metadata,
}

impl Summary {
    /// Ref metadata key: seconds since 1970 (`t`, big-endian).
    pub const COMMIT_TIMESTAMP: &'static str = "ostree.commit.timestamp";
    /// Ref metadata key: the commit's version (`s`).
    pub const COMMIT_VERSION: &'static str = "ostree.commit.version";
    /// Metadata key: when the summary was made (`t`, big-endian seconds).
    pub const LAST_MODIFIED: &'static str = "ostree.summary.last-modified";
    /// Metadata key: until when it may be used (`t`, big-endian seconds).
    pub const EXPIRES: &'static str = "ostree.summary.expires";
    /// Metadata key: the repository's mode (`s`).
    pub const MODE: &'static str = "ostree.summary.mode";
    /// Metadata key: whether deleted commits leave tombstones (`b`).
    pub const TOMBSTONE_COMMITS: &'static str = "ostree.summary.tombstone-commits";
    /// Metadata key: the collection of the refs (`s`).
    pub const COLLECTION_ID: &'static str = "ostree.summary.collection-id";
    /// Metadata key: whether `delta-indexes/` is kept (`b`).
    pub const INDEXED_DELTAS: &'static str = "ostree.summary.indexed-deltas";
    /// Metadata key: the static deltas (`a{sv}`).
    pub const STATIC_DELTAS: &'static str = "ostree.static-deltas";

    /// A number as OSTree stores it inside dictionaries: a `t` with its bytes swapped.
    #[must_use]
    pub fn big_endian(value: u64) -> Value {
        Value::Uint64(value.swap_bytes())
    }

    /// The number in such a value.
    #[must_use]
    pub fn from_big_endian(value: &Value) -> Option<u64> {
        if let Value::Uint64(value) = value { Some(value.swap_bytes()) } else { None }
    }

    /// The entry of a ref.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&SummaryRef> {
        self.refs.iter().find(|entry| entry.name == name)
    }

    /// The type string.
    #[must_use]
    pub fn type_of() -> Type {
        let size_sum_meta = Type::Tuple(vec![Type::Uint64, Type::bytes(), Type::vardict()]);
        let entry = Type::Tuple(vec![Type::String, size_sum_meta]);
        Type::Tuple(vec![Type::Array(Box::new(entry)), Type::vardict()])
    }

    /// The serialised summary. Refs are written in the order of the list: sort it by name.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let refs = build_array(
            8,
            self.refs.iter().map(|entry| {
                let inner = build_tuple(&[
                    (Member::U64, &entry.commit_size.to_le_bytes()),
                    (Member::BYTES, entry.checksum.as_bytes()),
                    (Metadata::MEMBER, &entry.metadata.encode()),
                ]);
                let name = encode_str(&entry.name);
                build_tuple(&[(Member::BYTES, &name), (Member::variable(8), &inner)])
            }),
        );
        let metadata = self.metadata.encode();
        build_tuple(&[(Member::variable(8), &refs), (Metadata::MEMBER, &metadata)])
    }

    /// Reads a summary.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        if data.len() > MAX_METADATA_SIZE {
            let (size, limit) = (data.len() as u64, MAX_METADATA_SIZE as u64);
            return Err(Error::TooLarge { what: WHAT, size, limit });
        }
        let [refs, metadata] = split_tuple(WHAT, data, [Member::variable(8), Metadata::MEMBER])?;
        let mut summary = Self { refs: Vec::new(), metadata: Metadata::decode(metadata)? };
        for element in split_array(WHAT, refs, 8)? {
            let [name, inner] = split_tuple(WHAT, element, [Member::BYTES, Member::variable(8)])?;
            let members = [Member::U64, Member::BYTES, Metadata::MEMBER];
            let [size, checksum, metadata] = split_tuple(WHAT, inner, members)?;
            let size =
                size.try_into().map_err(|_| Error::malformed(WHAT, "a size is cut short"))?;
            summary.refs.push(SummaryRef {
                name: decode_str(WHAT, name)?.to_owned(),
                commit_size: u64::from_le_bytes(size),
                checksum: Checksum::from_slice(checksum)?,
                metadata: Metadata::decode(metadata)?,
            });
        }
        if summary.encode() != data {
            return Err(Error::NotNormalForm { what: WHAT });
        }
        Ok(summary)
    }
}
