//! [`Config`]: `/etc/updraft/recovery.toml`, which is in the image of recovery.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use updraft_recovery_engine::{Result, System, TrustedKeys};

/// The longest file that is read, in bytes.
const MAX: u64 = 64 << 10;

/// What recovery has to know of its device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The file system that stays, mounted.
    #[serde(default = "cache")]
    pub(crate) cache: String,
    /// What `--wipe_data` empties, mounted.
    pub(crate) data: Option<String>,
    /// The partition with the control block.
    pub(crate) misc: String,
    /// The partition that logical ones lie on, when it is not `super`.
    #[serde(rename = "super")]
    pub(crate) super_partition: Option<String>,
    /// Files with keys: certificates, `otacerts.zip`, or of the form of `/res/keys`.
    pub(crate) keys: Vec<String>,
    /// Whether keys count that sign SHA-1.
    #[serde(default)]
    pub(crate) allow_sha1: bool,
    /// Files of the form of `build.prop`.
    #[serde(default)]
    pub(crate) properties: Vec<String>,
    /// The sort of the device, which bundles name.
    pub(crate) compatible: Option<String>,
    /// Where the package for `--sideload` lies.
    pub(crate) sideload: Option<String>,
    /// A program that says whether this is a time to update, and its arguments.
    #[serde(default)]
    pub(crate) gate: Vec<String>,
}

fn cache() -> String {
    "/cache".to_owned()
}

impl Config {
    pub(crate) fn read(path: &Path) -> std::result::Result<Self, String> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX).read_to_string(&mut text));
        read.map_err(|error| format!("read {}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("read {}: {error}", path.display()))
    }

    pub(crate) fn trusted_keys(&self, system: &System) -> Result<TrustedKeys> {
        let mut keys = TrustedKeys::default();
        for path in &self.keys {
            keys.add_file(&system.path(path))?;
        }
        Ok(if self.allow_sha1 { keys.allowing_sha1() } else { keys })
    }
}
