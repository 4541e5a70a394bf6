//! `updraft ota hash`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_fs::atomic_write_path;
use updraft_terminal::{Result, ResultExt as _, Terminal};

/// Tell what somebody elsewhere has to sign of a package.
///
/// It is the SHA-256 of all of it but its comment. Sign it, as PKCS#1 v1.5 or ECDSA in DER, and give the
/// signature to `updraft ota sign --certificate … --signature …`.
#[derive(Debug, Args)]
pub(super) struct Hash {
    /// The package.
    package: PathBuf,
    /// Write the hash there, as 32 bytes.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    sha256: String,
}

impl Hash {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let hash = updraft_recovery_engine::hash_to_sign(&terminal.context, &self.package)
            .with_context(|| format!("failed to read {}", self.package.display()))?;
        if let Some(output) = &self.output {
            atomic_write_path(output, &hash, 0o644)?;
        }
        let report = Report { sha256: hex::encode(hash) };
        terminal.show(&report, |report| terminal.line(&report.sha256))
    }
}
