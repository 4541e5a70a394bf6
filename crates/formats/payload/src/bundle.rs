//! [`Bundle`]: what recovery does with a package for plain Linux, without a script.
//!
//! ```json
//! { "format": "updraft-recovery-bundle", "version": 1, "compatible": "board", "release": "2.1",
//!   "partitions": [ { "device": "/dev/disk/by-partlabel/root", "size": 1048576, "sha256": "…",
//!     "transfer_list": "root.transfer.list", "new_data": "root.new.dat.br",
//!     "patches": "root.patch.dat" } ] }
//! ```
//! It is an entry of the package, which is signed as a whole.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Where it is in a package.
pub const BUNDLE_NAME: &str = "META-INF/updraft/bundle.json";
/// The longest one that is read, in bytes.
pub const MAX_BUNDLE: u64 = 256 << 10;
const FORMAT: &str = "updraft-recovery-bundle";
const VERSION: u32 = 1;
const MAX_PARTITIONS: usize = 64;

/// What a device becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    format: String,
    version: u32,
    /// The sort of device that it is for.
    pub compatible: String,
    /// What people call the system that it brings.
    pub release: String,
    /// The partitions, in the order in which they are written.
    pub partitions: Vec<BundlePartition>,
}

/// What a partition becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundlePartition {
    /// Its device.
    pub device: String,
    /// How many of its first bytes are about the system.
    pub size: u64,
    /// Their SHA-256 afterwards, in hexadecimal.
    pub sha256: String,
    /// The entry with its transfer list.
    pub transfer_list: String,
    /// The entry with new data; packed by brotli when it ends with `.br`.
    pub new_data: String,
    /// The entry with patches.
    pub patches: String,
}

impl Bundle {
    /// A new one.
    #[must_use]
    pub fn new(compatible: String, release: String, partitions: Vec<BundlePartition>) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, compatible, release, partitions }
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bundle: Self =
            serde_json::from_slice(bytes).map_err(|error| Error::Bundle(error.to_string()))?;
        let bad = |problem: &str| Err(Error::Bundle(problem.to_owned()));
        if bundle.format != FORMAT || bundle.version != VERSION {
            return bad("its format is not updraft-recovery-bundle, version 1");
        }
        if bundle.partitions.is_empty() || bundle.partitions.len() > MAX_PARTITIONS {
            return bad("it has no partitions, or more than 64");
        }
        let mut devices: Vec<&str> = bundle.partitions.iter().map(|it| &it.device[..]).collect();
        devices.sort_unstable();
        if devices.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return bad("a device is there twice");
        }
        let is_hash =
            |text: &str| text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
        if bundle.partitions.iter().any(|partition| !is_hash(&partition.sha256)) {
            return bad("a hash is no SHA-256");
        }
        Ok(bundle)
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::Bundle(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bundle, BundlePartition};

    #[test]
    fn a_bundle_reads_back_and_is_checked() {
        let partition = BundlePartition {
            device: "/dev/root".to_owned(),
            size: 4096,
            sha256: "ab".repeat(32),
            transfer_list: "l".to_owned(),
            new_data: "n".to_owned(),
            patches: "p".to_owned(),
        };
        let make = |partitions| Bundle::new("board".to_owned(), "2".to_owned(), partitions);
        let bundle = make(vec![partition.clone()]);
        let bytes = bundle.encode().unwrap();
        assert_eq!(Bundle::parse(&bytes).unwrap(), bundle);
        let refused = |bundle: &Bundle| Bundle::parse(&bundle.encode().unwrap()).is_err();
        assert!(refused(&make(Vec::new())) && refused(&make(vec![partition.clone(); 2])));
        assert!(refused(&make(vec![BundlePartition { sha256: "x".repeat(64), ..partition }])));
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [("\"version\": 1", "\"version\": 2"), ("\"release\"", "\"other\"")] {
            assert!(Bundle::parse(text.replace(from, to).as_bytes()).is_err());
        }
    }
}
