//! `updraft payload hash`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_crypto::plain::PrehashSigner;
use updraft_fs::atomic_write_path;
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input;
use crate::signers;

/// Tell what somebody elsewhere has to sign of a payload.
///
/// These are two hashes (SHA-256): of its metadata, and of the whole. They depend on how long the
/// signatures will be, and so on the keys. Sign both, as PKCS#1 v1.5 or ECDSA in DER, and give the
/// signatures to `updraft payload sign --public-key … --signature … --signature …`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example, with OpenSSL in the place of somebody elsewhere:
  updraft payload hash p.bin --public-key release.pub --metadata-hash m.hash --payload-hash p.hash
  for h in m p; do
      openssl pkeyutl -sign -inkey release.key -pkeyopt digest:sha256 -in $h.hash -out $h.signature
  done
  updraft payload sign p.bin signed.bin --public-key release.pub \\
      --signature m.signature --signature p.signature")]
pub(super) struct Hash {
    /// The payload, or a package with one; `-` for standard input.
    payload: PathBuf,
    /// The public key or certificate (PEM) that is to sign; repeat for more, in the order in which
    /// `sign` will have them.
    #[arg(long, value_name = "FILE", required = true)]
    public_key: Vec<PathBuf>,
    /// Write the hash of the metadata there, as 32 bytes.
    #[arg(long = "metadata-hash", value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// Write the hash of the whole there, as 32 bytes.
    #[arg(long = "payload-hash", value_name = "FILE")]
    whole: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    metadata_sha256: String,
    payload_sha256: String,
}

impl Hash {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let mut lengths = Vec::new();
        for path in &self.public_key {
            let key = PrehashSigner::elsewhere(signers::public_key(path)?, |_| Ok(Vec::new()));
            let length =
                key.with_context(|| format!("failed to use {}", path.display()))?.longest();
            input::check(length)?;
            lengths.push(length);
        }
        let mut source = input::open(&self.payload)?;
        let [metadata, whole] = updraft_slots::hashes_to_sign(&mut *source, &lengths)
            .with_context(|| format!("failed to read {}", self.payload.display()))?;
        for (path, hash) in [(&self.metadata, metadata), (&self.whole, whole)] {
            if let Some(path) = path {
                atomic_write_path(path, &hash, 0o644)?;
            }
        }
        let report =
            Report { metadata_sha256: hex::encode(metadata), payload_sha256: hex::encode(whole) };
        terminal.show(&report, |report| {
            terminal.line(format!("metadata {}", report.metadata_sha256))?;
            terminal.line(format!("payload  {}", report.payload_sha256))
        })
    }
}
