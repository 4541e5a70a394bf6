//! Snapshot and timestamp: which version of each file is current.
//!
//! ```text
//! snapshot   {…, "meta": {"targets.json": {"version", "length"?, "hashes"?}, "ROLE.json": …}}
//! timestamp  {…, "meta": {"snapshot.json": {"version", "length"?, "hashes"?}}}
//! ```
//! In the Uptane dialect a timestamp must give length and hashes as well.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Header, Payload};
use crate::fields::Fields;
use crate::json::Json;
use crate::{Dialect, FormatError, Hashes};

/// What one file says about another.
#[derive(Debug, Clone, PartialEq)]
pub struct FileMeta {
    /// The other file's version.
    pub version: u64,
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Its hashes.
    pub hashes: Option<Hashes>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl FileMeta {
    /// Version, length and SHA-256 of a file with these bytes.
    #[must_use]
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        Self {
            version,
            length: Some(bytes.len() as u64),
            hashes: Some(Hashes::of(bytes)),
            extra: Map::new(),
        }
    }

    fn from_json(value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("meta", value)?;
        let version = fields.unsigned("version")?;
        if version == 0 {
            return Err(FormatError::field("meta.version", "is zero"));
        }
        let length = fields.optional_unsigned("length")?;
        let hashes = fields.take_optional("hashes").map(|value| match value {
            Json::Object(members) => Hashes::from_members(members),
            _ => Err(FormatError::field("hashes", "is not an object")),
        });
        Ok(Self { version, length, hashes: hashes.transpose()?, extra: fields.rest() })
    }

    fn to_value(&self) -> Value {
        let mut members = Map::new();
        if let Some(hashes) = &self.hashes {
            members.insert("hashes".to_owned(), hashes.to_value());
        }
        if let Some(length) = self.length {
            members.insert("length".to_owned(), length.into());
        }
        members.insert("version".to_owned(), self.version.into());
        members.extend(self.extra.clone());
        Value::Object(members)
    }
}

fn read_meta(fields: &mut Fields<'_>) -> Result<BTreeMap<String, FileMeta>, FormatError> {
    let members = fields.object("meta")?;
    let files = members.into_iter();
    files.map(|(name, value)| Ok((name.into_owned(), FileMeta::from_json(value)?))).collect()
}

fn write_meta(meta: &BTreeMap<String, FileMeta>, members: &mut Map<String, Value>) {
    let files = meta.iter().map(|(name, file)| (name.clone(), file.to_value()));
    members.insert("meta".to_owned(), Value::Object(files.collect()));
}

/// The payload of a snapshot file.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Version and expiry.
    pub header: Header,
    /// File name, such as `targets.json` → what is current.
    pub meta: BTreeMap<String, FileMeta>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl Payload for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn header(&self) -> &Header {
        &self.header
    }

    fn read(_: Dialect, header: Header, mut fields: Fields<'_>) -> Result<Self, FormatError> {
        let meta = read_meta(&mut fields)?;
        Ok(Self { header, meta, extra: fields.rest() })
    }

    fn write(&self, members: &mut Map<String, Value>) {
        write_meta(&self.meta, members);
        members.extend(self.extra.clone());
    }
}

/// The payload of a timestamp file.
#[derive(Debug, Clone, PartialEq)]
pub struct Timestamp {
    /// Version and expiry.
    pub header: Header,
    /// The current snapshot.
    pub snapshot: FileMeta,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl Payload for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn header(&self) -> &Header {
        &self.header
    }

    fn read(dialect: Dialect, header: Header, mut fields: Fields<'_>) -> Result<Self, FormatError> {
        let mut meta = read_meta(&mut fields)?;
        let snapshot =
            meta.remove("snapshot.json").ok_or_else(|| FormatError::missing("snapshot.json"))?;
        if !meta.is_empty() {
            return Err(FormatError::field("meta", "lists more than snapshot.json"));
        }
        let is_complete = snapshot.length.is_some()
            && snapshot.hashes.as_ref().is_some_and(Hashes::is_verifiable);
        if dialect == Dialect::Uptane && !is_complete {
            return Err(FormatError::field("snapshot.json", "lacks its length or hashes"));
        }
        Ok(Self { header, snapshot, extra: fields.rest() })
    }

    fn write(&self, members: &mut Map<String, Value>) {
        let mut meta = Map::new();
        meta.insert("snapshot.json".to_owned(), self.snapshot.to_value());
        members.insert("meta".to_owned(), Value::Object(meta));
        members.extend(self.extra.clone());
    }
}
