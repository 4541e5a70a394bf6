//! Which deltas there are: `a{sv}` from a delta's name to the SHA-256 of its superblock.
//!
//! The same dictionary stands in a summary and, for one target, in `delta-indexes/`. Deltas of our
//! own format are listed beside it under a key that libostree does not look at.

use std::collections::BTreeMap;

use super::{DeltaFormat, DeltaName};
use crate::gvariant::{Type, Value};
use crate::{Checksum, Error, MAX_METADATA_SIZE, Metadata};

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

    /// Adds the deltas to metadata of a summary or an index file.
    pub fn add_to(&self, metadata: &mut Metadata) {
        for format in DeltaFormat::ALL {
            let of_format = self.0.iter().filter(|(name, _)| name.format == format);
            let entry = |(name, sum): (&DeltaName, &Checksum)| {
                let name = name.in_format(DeltaFormat::Ostree).to_string();
                (name, Value::Bytes(sum.as_bytes().to_vec()))
            };
            let listed: Metadata = of_format.map(entry).collect();
            if !listed.is_empty() {
                metadata.insert(format.list_key(), listed.to_value());
            }
        }
    }

    fn add_from(&mut self, format: DeltaFormat, value: &Value) -> Result<(), Error> {
        if value.type_of() != Type::vardict() {
            return Err(Error::malformed(WHAT, "it is not a dictionary"));
        }
        for (name, value) in Metadata::from_value(value.clone())?.iter() {
            let checksum = value
                .as_bytes()
                .ok_or_else(|| Error::malformed(WHAT, "a value is not a checksum"))?;
            let name: DeltaName = name.parse()?;
            self.insert(name.in_format(format), Checksum::from_slice(checksum)?);
        }
        Ok(())
    }

    /// The deltas that metadata of a summary or an index file lists; `None` when it lists none.
    pub fn from_metadata(metadata: &Metadata) -> Result<Option<Self>, Error> {
        let mut found = None;
        for format in DeltaFormat::ALL {
            if let Some(listed) = metadata.get(format.list_key()) {
                found.get_or_insert_with(Self::new).add_from(format, listed)?;
            }
        }
        Ok(found)
    }

    /// The content of an index file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut metadata = Metadata::new();
        self.add_to(&mut metadata);
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
