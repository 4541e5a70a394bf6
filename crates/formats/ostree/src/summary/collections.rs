//! `ostree.summary.collection-map`, type `a{sa(s(taya{sv}))}`: the refs of other collections that
//! a repository mirrors.

use std::collections::BTreeMap;

use super::{Summary, SummaryRef, WHAT};
use crate::gvariant::{Type, Value};
use crate::{Checksum, CollectionId, Error, Metadata};

impl Summary {
    /// Metadata key: the refs of other collections.
    pub const COLLECTION_MAP: &'static str = "ostree.summary.collection-map";

    /// The refs as their array, with their numbers as stored.
    #[must_use]
    pub fn refs_to_value(refs: &[SummaryRef]) -> Value {
        let entry = |entry: &SummaryRef| {
            Value::Tuple(vec![
                Value::String(entry.name.clone()),
                Value::Tuple(vec![
                    Value::Uint64(entry.commit_size),
                    Value::Bytes(entry.checksum.as_bytes().to_vec()),
                    entry.metadata.to_value(),
                ]),
            ])
        };
        Value::Array(entry_type(), refs.iter().map(entry).collect())
    }

    /// Sets the refs of other collections; each list sorted by name. Without any the key is left
    /// out.
    pub fn set_collection_map(&mut self, map: &BTreeMap<CollectionId, Vec<SummaryRef>>) {
        if map.is_empty() {
            self.metadata.remove(Self::COLLECTION_MAP);
            return;
        }
        let refs_type = Type::Array(Box::new(entry_type()));
        let of = Type::DictEntry(Box::new((Type::String, refs_type)));
        let entries = map.iter().map(|(id, refs)| {
            let id = Value::String(id.to_string());
            Value::DictEntry(Box::new((id, Self::refs_to_value(refs))))
        });
        self.metadata.insert(Self::COLLECTION_MAP, Value::Array(of, entries.collect()));
    }

    /// The refs of other collections.
    ///
    /// # Errors
    /// When the value has another type, or an id is none.
    pub fn collection_map(&self) -> Result<BTreeMap<CollectionId, Vec<SummaryRef>>, Error> {
        let mut map = BTreeMap::new();
        let Some(value) = self.metadata.get(Self::COLLECTION_MAP) else { return Ok(map) };
        let bad = || Error::malformed(WHAT, "the collection map has another type");
        for entry in value.as_array().ok_or_else(bad)? {
            let Value::DictEntry(entry) = entry else { return Err(bad()) };
            let id = CollectionId::new(entry.0.as_str().ok_or_else(bad)?)?;
            let refs = entry.1.as_array().ok_or_else(bad)?;
            map.insert(id, refs.iter().map(decode).collect::<Result<_, _>>()?);
        }
        Ok(map)
    }
}

fn entry_type() -> Type {
    let about = Type::Tuple(vec![Type::Uint64, Type::bytes(), Type::vardict()]);
    Type::Tuple(vec![Type::String, about])
}

fn decode(value: &Value) -> Result<SummaryRef, Error> {
    let bad = || Error::malformed(WHAT, "a ref of the collection map has another type");
    let Value::Tuple(entry) = value else { return Err(bad()) };
    let [Value::String(name), Value::Tuple(about)] = entry.as_slice() else { return Err(bad()) };
    let [Value::Uint64(commit_size), Value::Bytes(checksum), metadata] = about.as_slice() else {
        return Err(bad());
    };
    Ok(SummaryRef {
        name: name.clone(),
        commit_size: *commit_size,
        checksum: Checksum::from_slice(checksum)?,
        metadata: Metadata::from_value(metadata.clone())?,
    })
}
