//! Which deltas there are: `a{sv}` from a delta's name to the SHA-256 of its superblock.
//!
//! The same dictionary stands in a summary and, for one target, in `delta-indexes/`.

use std::collections::BTreeMap;

use super::DeltaName;
use crate::gvariant::{Type, Value};
use crate::{Checksum, Error, MAX_METADATA_SIZE, Metadata, Summary};

const WHAT: &str = "delta index";

/// Deltas and the checksums of their superblocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeltaIndex(BTreeMap<DeltaName, Checksum>);

impl DeltaIndex {
    /// No deltas.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a delta.
    pub fn insert(&mut self, name: DeltaName, superblock: Checksum) {
        self.0.insert(name, superblock);
    }

    /// The deltas: from nothing first, then by origin.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&DeltaName, &Checksum)> {
        self.0.iter()
    }

    /// The checksum of a delta's superblock.
    #[must_use]
    pub fn get(&self, name: &DeltaName) -> Option<Checksum> {
        self.0.get(name).copied()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the value of [`Summary::STATIC_DELTAS`].
    #[must_use]
    pub fn to_value(&self) -> Value {
        let entry = |(name, sum): (&DeltaName, &Checksum)| {
            (name.to_string(), Value::Bytes(sum.as_bytes().to_vec()))
        };
        self.0.iter().map(entry).collect::<Metadata>().to_value()
    }

    /// The deltas in such a value.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        if value.type_of() != Type::vardict() {
            return Err(Error::malformed(WHAT, "it is not a dictionary"));
        }
        let mut index = Self::new();
        for (name, value) in Metadata::from_value(value.clone())?.iter() {
            let checksum = value
                .as_bytes()
                .ok_or_else(|| Error::malformed(WHAT, "a value is not a checksum"))?;
            index.insert(name.parse()?, Checksum::from_slice(checksum)?);
        }
        Ok(index)
    }

    /// The deltas that metadata of a summary or an index file lists; `None` when it lists none.
    pub fn from_metadata(metadata: &Metadata) -> Result<Option<Self>, Error> {
        metadata.get(Summary::STATIC_DELTAS).map(Self::from_value).transpose()
    }

    /// The content of an index file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut metadata = Metadata::new();
        metadata.insert(Summary::STATIC_DELTAS, self.to_value());
        metadata.encode()
    }

    /// Reads an index file.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        if data.len() > MAX_METADATA_SIZE {
            let (size, limit) = (data.len() as u64, MAX_METADATA_SIZE as u64);
            return Err(Error::TooLarge { what: WHAT, size, limit });
        }
        Ok(Self::from_metadata(&Metadata::decode(data)?)?.unwrap_or_default())
    }
}

impl FromIterator<(DeltaName, Checksum)> for DeltaIndex {
    fn from_iter<I: IntoIterator<Item = (DeltaName, Checksum)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
