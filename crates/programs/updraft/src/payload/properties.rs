//! `updraft payload properties`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input;

/// Print the sizes and hashes of a payload as payload_properties.txt has them.
///
/// FILE_HASH and FILE_SIZE are of the whole payload, METADATA_HASH and METADATA_SIZE of its header and
/// manifest. Update engines are given these lines; `apply --properties` takes them too.
#[derive(Debug, Args)]
pub(super) struct Properties {
    /// The payload, or a package with one; `-` for standard input.
    payload: PathBuf,
}

/// With JSON, hashes are in hex.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) file_sha256: String,
    pub(super) file_size: u64,
    pub(super) metadata_sha256: String,
    pub(super) metadata_size: u64,
}

impl Report {
    pub(super) fn of(properties: &updraft_payload::Properties) -> Self {
        Self {
            file_sha256: hex::encode(properties.file_sha256),
            file_size: properties.file_size,
            metadata_sha256: hex::encode(properties.metadata_sha256),
            metadata_size: properties.metadata_size,
        }
    }
}

impl Properties {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let mut source = input::open(&self.payload)?;
        let properties = updraft_slots::properties(&terminal.context, &mut *source)
            .with_context(|| format!("failed to read {}", self.payload.display()))?;
        terminal
            .show(&Report::of(&properties), |_| terminal.line(properties.to_string().trim_end()))
    }
}
