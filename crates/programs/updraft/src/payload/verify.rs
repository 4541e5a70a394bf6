//! `updraft payload verify`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input::{self, TrustOptions};
use super::properties;

/// Verify a payload from its first byte to its last, and write nothing.
///
/// With --key, both of its signatures have to be by one of the keys. With --properties, it has to be
/// the payload that these lines are about. Without both, only the hashes are checked that it has of
/// its own data: that shows damage, and no forgery.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The payload, or a package with one; `-` for standard input.
    payload: PathBuf,
    #[command(flatten)]
    trust: TrustOptions,
}

#[derive(Serialize)]
struct Report {
    signed_by_trusted_key: bool,
    operations: usize,
    operations_without_hash: usize,
    #[serde(rename = "properties")]
    sizes: properties::Report,
}

impl Verify {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let trust = self.trust.read()?;
        let mut source = input::open(&self.payload)?;
        let verified = updraft_slots::verify(&terminal.context, &mut *source, &trust)
            .with_context(|| format!("failed to verify {}", self.payload.display()))?;
        let report = Report {
            signed_by_trusted_key: !trust.keys.is_empty(),
            operations: verified.head.manifest.operation_count(),
            operations_without_hash: verified.without_hash,
            sizes: properties::Report::of(&verified.properties),
        };
        if !trust.is_anybodys() {
            terminal.warn("nobody vouches for it: give --key or --properties to know whose it is");
        }
        terminal.show(&report, |report| {
            let whose = match (report.signed_by_trusted_key, trust.properties.is_some()) {
                (true, _) => "whole, and signed by a key that is trusted",
                (false, true) => "whole, and what its properties say",
                (false, false) => "whole",
            };
            terminal.line(format!("{}: {whose}", self.payload.display()))?;
            if report.operations_without_hash > 0 {
                let (without, of) = (report.operations_without_hash, report.operations);
                terminal
                    .warn(format!("{without} of its {of} operations have no hash of their data"));
            }
            Ok(())
        })
    }
}
