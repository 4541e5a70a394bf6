//! [`UpdateConfig`]: an update that somebody may choose on the device, in the JSON of Android's
//! SystemUpdaterSample. (AOSP, `bootable/recovery/updater_sample`: `UpdateConfig.java`,
//! `tools/gen_update_config.py`.)
//!
//! ```json
//! {
//!   "name": "board 2.1",
//!   "url": "https://example.org/ota.zip",
//!   "ab_install_type": "STREAMING",                     or NON_STREAMING, with a file:// address
//!   "ab_config": {
//!     "force_switch_slot": true,                        false: not started before the switch
//!     "verify_payload_metadata": true,
//!     "authorization": "Basic …",                       sent to the server
//!     "property_files": [                               where they are in the package
//!       { "filename": "payload.bin", "offset": 531, "size": 5012323 },
//!       { "filename": "payload_properties.txt", "offset": 5012903, "size": 156 }
//!     ]
//!   }
//! }
//! ```
//! Older ones have `property_files` in `ab_streaming_metadata`. Other keys, such as the sample's `__`
//! for comments, are let pass. Nothing that it says makes a payload trusted.

mod folder;
mod raw;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::ConfigError;

pub use folder::ListedUpdate;

/// The longest file that is read, in bytes.
pub const MAX_UPDATE_CONFIG: u64 = 256 << 10;

/// An update that somebody may choose.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdateConfig {
    /// What people call it.
    pub name: String,
    /// Where its package is, as the file says.
    pub url: String,
    /// How it is read.
    pub install: InstallType,
    /// Whether its slot is started next; else it waits for the switch.
    pub force_switch_slot: bool,
    /// Whether the sample's app would have the metadata verified first. Here it always is.
    pub verify_payload_metadata: bool,
    /// Sent to the server. Secret.
    pub authorization: Option<String>,
}

/// How an update is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallType {
    /// `STREAMING`: by ranges of a package on a server.
    Streaming {
        /// Where the payload is in the package.
        payload: ByteRange,
        /// Where its properties are.
        properties: ByteRange,
    },
    /// `NON_STREAMING`: from a package in a file.
    NonStreaming {
        /// The file.
        path: PathBuf,
    },
}

/// Bytes of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first.
    pub offset: u64,
    /// How many.
    pub size: u64,
}

impl InstallType {
    /// The sample's word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Streaming { .. } => "STREAMING",
            Self::NonStreaming { .. } => "NON_STREAMING",
        }
    }
}

impl fmt::Debug for UpdateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, url, install, .. } = self;
        let mut shown = f.debug_struct("UpdateConfig");
        shown.field("name", name).field("url", url).field("install", install);
        shown.field("force_switch_slot", &self.force_switch_slot).finish_non_exhaustive()
    }
}

impl UpdateConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &folder::read(path)?)
    }

    /// Reads a text; `path` is for messages.
    ///
    /// # Errors
    /// When it is none, or has values that cannot be right.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ConfigError> {
        raw::parse(path, text)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ByteRange, InstallType, UpdateConfig};

    const GENERATED: &str = include_str!("../tests/golden/update-config.json");
    const STALE: &str = include_str!("../tests/golden/update-config-stale.json");

    fn parse(text: &str) -> Result<UpdateConfig, String> {
        let parsed = UpdateConfig::parse(Path::new("x.json"), text.as_bytes());
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_samples_tool_writes_is_read() {
        let config = parse(GENERATED).unwrap();
        assert_eq!(config.name, "ota-board-2.1");
        assert!(config.force_switch_slot && config.verify_payload_metadata);
        assert_eq!(config.authorization.as_deref(), Some("Basic dXNlcjpwYXNz"));
        let payload = ByteRange { offset: 1213, size: 1392 };
        let properties = ByteRange { offset: 2663, size: 147 };
        assert_eq!(config.install, InstallType::Streaming { payload, properties });
        assert!(!format!("{config:?}").contains("dXNlcjpwYXNz"));
    }

    #[test]
    fn the_stale_sample_is_read() {
        let config = parse(STALE).unwrap();
        assert!(!config.force_switch_slot);
        let path = "/data/ota package.zip".into();
        assert_eq!(config.install, InstallType::NonStreaming { path });
    }

    #[test]
    fn what_cannot_be_right_is_told_with_key_and_way_out() {
        for (from, to, words) in [
            ("\"force_switch_slot\": true,", "", "force_switch_slot"),
            ("\"STREAMING\"", "\"SOMEHOW\"", "SOMEHOW"),
            ("\"STREAMING\"", "\"NON_STREAMING\"", "file:///"),
            ("https://", "ftp://", "http://"),
            ("https://", "https://a b", "http://"),
            ("\"ota-board-2.1\"", "\"\"", "a name"),
            ("\"payload.bin\"", "\"other.bin\"", "payload.bin"),
            ("\"payload_properties.txt\"", "\"payload.bin\"", "twice"),
            ("1213", "18446744073709551615", "beyond"),
            ("1213", "-1", "line"),
            ("147", "1000000", "payload_properties.txt"),
            ("Basic dXNlcjpwYXNz", "a\\r\\nb", "authorization"),
        ] {
            assert!(GENERATED.contains(from), "{from}");
            let said = parse(&GENERATED.replace(from, to)).unwrap_err();
            assert!(said.contains("x.json") && said.contains(words), "{from} → {to}: {said}");
            assert!(!said.contains("dXNlcjpwYXNz"), "{said}");
        }
        for path in ["file:///a/%zz", "file://host/a", "file:///a\\u0000b", "/a"] {
            let text = STALE.replace("file:///data/ota%20package.zip", path);
            assert!(parse(&text).is_err(), "{path}");
        }
        let many = format!("{GENERATED}{}", " ".repeat(256 << 10));
        assert!(parse(&many).is_err());
        assert!(parse("[]").is_err());
    }
}
