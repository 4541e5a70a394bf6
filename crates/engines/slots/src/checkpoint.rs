//! [`Checkpoint`]: how far an apply came, so that it goes on from there.

use std::path::Path;

use serde::{Deserialize, Serialize};
use updraft_fs::atomic_write_path;

use crate::stream::Hashes;
use crate::{Error, Result};

const FORMAT: &str = "updraft-payload-progress";
const VERSION: u32 = 1;
/// The longest record that is read, in bytes.
const MAX_RECORD: u64 = 16 << 10;

/// How far an apply came. All that is before it is durable in the targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    format: String,
    version: u32,
    /// Which payload, by the hash of its metadata.
    metadata_sha256: String,
    /// Which targets and sources.
    places_sha256: String,
    /// The first operation that is still to be done, counted over all partitions.
    next_operation: u64,
    /// The inner states of the hashes of what was read until then.
    file_hash: String,
    signed_hash: String,
}

impl Checkpoint {
    pub(crate) fn new(
        metadata: &[u8; 32],
        places: &[u8; 32],
        next: usize,
        hashes: &Hashes,
    ) -> Self {
        let [file_hash, signed_hash] = hashes.to_text();
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            metadata_sha256: hex::encode(metadata),
            places_sha256: hex::encode(places),
            next_operation: next as u64,
            file_hash,
            signed_hash,
        }
    }

    /// Reads a record. `None`: it is none, or one of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() as u64 > MAX_RECORD {
            return None;
        }
        let record: Self = serde_json::from_slice(bytes).ok()?;
        (record.format == FORMAT && record.version == VERSION).then_some(record)
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers: nothing in it can fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the record at this path. One that cannot be read is as none: all is done again then.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        use std::io::Read as _;

        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_RECORD + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
        Ok(Self::decode(&bytes))
    }

    /// Commit point: what is done up to here is not done again.
    pub(crate) fn store(&self, path: &Path) -> Result<()> {
        Ok(atomic_write_path(path, &self.encode(), 0o600)?)
    }

    /// Forgets the record at this path.
    pub(crate) fn remove(path: &Path) -> Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// The first operation that is still to be done.
    pub(crate) fn next_operation(&self) -> u64 {
        self.next_operation
    }

    /// The next operation and the hashes until then, if it is of this payload and these places.
    pub(crate) fn matching(
        &self,
        metadata: &[u8; 32],
        places: &[u8; 32],
    ) -> Option<(usize, Hashes)> {
        if self.metadata_sha256 != hex::encode(metadata)
            || self.places_sha256 != hex::encode(places)
        {
            return None;
        }
        let hashes = Hashes::of_text(&self.file_hash, &self.signed_hash)?;
        Some((usize::try_from(self.next_operation).ok()?, hashes))
    }
}

#[cfg(test)]
mod tests {
    use super::Checkpoint;
    use crate::stream::Hashes;

    #[test]
    fn a_record_reads_back_and_belongs_to_one_payload() {
        let record = Checkpoint::new(&[1; 32], &[2; 32], 7, &Hashes::default());
        let text = String::from_utf8(record.encode()).unwrap();
        let golden = include_str!("../tests/golden/checkpoint-1.json");
        assert_eq!(text, golden);
        let read = Checkpoint::decode(golden.as_bytes()).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.matching(&[1; 32], &[2; 32]).unwrap().0, 7);
        assert!(read.matching(&[1; 32], &[1; 32]).is_none());
        assert!(read.matching(&[2; 32], &[2; 32]).is_none());
    }

    #[test]
    fn what_is_no_record_is_as_none() {
        let golden = include_str!("../tests/golden/checkpoint-1.json");
        for bad in ["", "{}", "[]", &golden.replace("\"version\": 1", "\"version\": 2")] {
            assert!(Checkpoint::decode(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Checkpoint::decode(&vec![b' '; 20_000]).is_none());
        assert!(Checkpoint::decode(golden.replace('{', "{\"x\":1,").as_bytes()).is_none());
    }
}
