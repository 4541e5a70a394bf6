//! [`DescribedPayload`]: what a signed target says of the payload in its file, in its `custom.payload`, so
//! that a device knows before it reads a byte what it will be given.
//!
//! ```json
//! {"offset": 1337,
//!  "properties": {"FILE_HASH": "…", "FILE_SIZE": "2658", "METADATA_HASH": "…", "METADATA_SIZE": "281"},
//!  "partitions": [{"name": "system", "size": 4096, "sha256": "…"}],
//!  "deltas": [{"target": "v2-board-delta-0a1b2c3d4e5f", "length": 900, "sha256": "…", "offset": 0,
//!              "properties": {…}, "from": [{"name": "system", "size": 4096, "sha256": "…"}]}]}
//! ```
//! `properties` are those of `payload_properties.txt`, `offset` is where the payload begins in the
//! target's file: in an OTA package not at 0. Each delta is a target by itself, and leads from the
//! partitions in `from` to the same content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::weight::MAX_PARTITIONS;
use crate::{Content, Error, Manifest, Properties};

/// The most deltas that lead to one payload's content.
pub const MAX_DELTAS: usize = 64;

/// What a target says of the payload in its file. Members that are not known are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedPayload {
    /// Where it begins in the file, in bytes.
    #[serde(default)]
    pub offset: u64,
    /// The lines of its `payload_properties.txt`.
    pub properties: BTreeMap<String, String>,
    /// What it makes, by partition.
    pub partitions: Vec<DescribedPartition>,
    /// Smaller ones that make the same of what some devices have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<DescribedDelta>,
}

/// What a partition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedPartition {
    /// Its name, without the slot.
    pub name: String,
    /// How many bytes count.
    pub size: u64,
    /// Their SHA-256 in lower hex.
    pub sha256: String,
}

/// A delta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedDelta {
    /// The name of the target with its file.
    pub target: String,
    /// How many bytes the file has.
    pub length: u64,
    /// The file's SHA-256 in lower hex.
    pub sha256: String,
    /// Where the payload begins in it, in bytes.
    #[serde(default)]
    pub offset: u64,
    /// The lines of its `payload_properties.txt`.
    pub properties: BTreeMap<String, String>,
    /// What the partitions that it reads have to hold.
    pub from: Vec<DescribedPartition>,
}

impl DescribedPayload {
    /// Reads it, and sees to it that it can be right.
    ///
    /// # Errors
    /// [`Error::Described`].
    pub fn parse(value: &Value) -> Result<Self, Error> {
        let described: Self = serde::Deserialize::deserialize(value)
            .map_err(|error| Error::Described(error.to_string()))?;
        described.check()?;
        Ok(described)
    }

    /// As the target says it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Strings and numbers: nothing in it can fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |problem: String| Err(Error::Described(problem));
        if self.deltas.len() > MAX_DELTAS {
            return bad(format!("it has more than {MAX_DELTAS} deltas"));
        }
        properties_of(&self.properties)?;
        let froms = self.deltas.iter().map(|delta| &delta.from);
        for partitions in std::iter::once(&self.partitions).chain(froms) {
            if partitions.is_empty() || partitions.len() > MAX_PARTITIONS {
                return bad(format!("it does not name 1 to {MAX_PARTITIONS} partitions"));
            }
            if let Some(wrong) = partitions.iter().find(|one| !is_sha256(&one.sha256)) {
                return bad(format!("partition {} has no SHA-256", wrong.name));
            }
        }
        for delta in &self.deltas {
            let size = properties_of(&delta.properties)?.file_size;
            let is_within = delta.offset.checked_add(size).is_some_and(|end| end <= delta.length);
            if !is_sha256(&delta.sha256) || !is_within {
                return bad(format!("the delta {} is not within its file", delta.target));
            }
        }
        Ok(())
    }
}

/// What is known of the payload before it is read.
///
/// # Errors
/// [`Error::Properties`].
pub fn properties_of(lines: &BTreeMap<String, String>) -> Result<Properties, Error> {
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Properties::parse(&lines.join("\n"))
}

/// The lines of what is known.
#[must_use]
pub fn lines_of(properties: &Properties) -> BTreeMap<String, String> {
    let text = properties.to_string();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a payload makes.
#[must_use]
pub fn new_contents(manifest: &Manifest) -> Vec<DescribedPartition> {
    manifest.partitions.iter().map(|one| DescribedPartition::new(&one.name, &one.new)).collect()
}

/// What a payload needs the old partitions to hold. Empty: nothing, it is a full one.
#[must_use]
pub fn old_contents(manifest: &Manifest) -> Vec<DescribedPartition> {
    let old = |one: &crate::Partition| Some(DescribedPartition::new(&one.name, one.old.as_ref()?));
    manifest.partitions.iter().filter_map(old).collect()
}

impl DescribedPartition {
    fn new(name: &str, content: &Content) -> Self {
        Self { name: name.to_owned(), size: content.size, sha256: hex(&content.sha256) }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{DescribedPayload, lines_of, properties_of};

    fn described() -> Value {
        let properties = json!({
            "FILE_HASH": "EgTYgwQHRHfppfPaEfc7QqThOWhSEnPsAJoBj/ZmE1s=", "FILE_SIZE": "2658",
            "METADATA_HASH": "KxKZuEYXj/AUY3Xj56xN/PqdCvzjH8QJHMUVlvJX8mE=", "METADATA_SIZE": "281",
        });
        let partition = json!([{"name": "system", "size": 4096, "sha256": "ab".repeat(32)}]);
        let delta = json!({
            "target": "v2-board-delta-1", "length": 3000, "sha256": "cd".repeat(32), "offset": 342,
            "properties": properties, "from": partition,
        });
        json!({
            "offset": 7, "properties": properties, "partitions": partition, "deltas": [delta],
        })
    }

    #[test]
    fn what_a_target_says_reads_back() {
        let read = DescribedPayload::parse(&described()).unwrap();
        assert_eq!(read.to_value(), described());
        let properties = properties_of(&read.properties).unwrap();
        assert_eq!((properties.file_size, properties.metadata_size), (2658, 281));
        assert_eq!(lines_of(&properties), read.properties);
        let mut more = described();
        more["later"] = json!(1);
        assert_eq!(DescribedPayload::parse(&more).unwrap(), read);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (place, wrong) in [
            ("/properties/FILE_SIZE", json!("x")),
            ("/properties/FILE_HASH", json!(7)),
            ("/partitions", json!([])),
            ("/partitions/0/sha256", json!("AB".repeat(32))),
            ("/partitions/0/size", json!(-1)),
            ("/deltas/0/offset", json!(343)),
            ("/deltas/0/offset", json!(u64::MAX)),
            ("/deltas/0/sha256", json!("")),
            ("/deltas/0/from", json!([])),
            ("/deltas/0/properties", json!({})),
        ] {
            let mut value = described();
            *value.pointer_mut(place).unwrap() = wrong;
            assert!(DescribedPayload::parse(&value).is_err(), "{place}");
        }
        let mut many = described();
        let delta = many["deltas"][0].clone();
        many["deltas"] = vec![delta; 65].into();
        assert!(DescribedPayload::parse(&many).is_err());
    }
}
