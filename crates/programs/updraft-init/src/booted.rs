//! `/run/ostree-booted`: how the running system learns what it was booted from.
//!
//! A GVariant `a{sv}`. Programs take its mere existence as the sign of an OSTree system.

use std::path::Path;

use updraft_ostree::Metadata;
use updraft_ostree::gvariant::Value;

use crate::failure::{During, Result};

/// Where it is.
pub(crate) const FILE: &str = "/run/ostree-booted";
/// Where that of a soft reboot waits until the reboot is done.
pub(crate) const NEXT_FILE: &str = "/run/ostree/nextroot-booted";

/// What is to be told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Booted(Metadata);

impl Booted {
    /// The device and inode of the deployment's folder.
    pub(crate) fn identity(&mut self, (device, inode): (u64, u64)) {
        let pair = Value::Tuple(vec![Value::Uint64(device), Value::Uint64(inode)]);
        self.0.insert("backing-root-device-inode", pair);
    }

    /// A boolean of this name.
    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.0.insert(key, Value::Bool(value));
    }

    /// A text of this name.
    pub(crate) fn text(&mut self, key: &str, value: &Path) {
        self.0.insert(key, Value::String(value.to_string_lossy().into_owned()));
    }

    /// Writes the file.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        updraft_fs::atomic_write_path(file, &self.0.encode(), 0o644)
            .during(|| format!("write {}", file.display()))
    }
}
