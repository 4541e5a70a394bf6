//! What commands about packages have in common: whose signature counts, and who signs.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_crypto::package::PackageSigner;
use updraft_recovery_engine::TrustedKeys;
use updraft_terminal::{Result, ResultExt as _};

/// Longest file with a key or certificate that is read, in bytes.
const MAX_KEY: u64 = 64 << 10;

/// Whose signature counts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustOptions {
    /// The package has to be signed by the key of this certificate (PEM), by one in this otacerts.zip,
    /// or by one in this file of the form of /res/keys; repeat for more, one of which is enough.
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Let keys count that sign SHA-1, as those of old devices do. SHA-1 can be forged.
    #[arg(long)]
    allow_sha1: bool,
}

impl TrustOptions {
    pub(super) fn read(&self) -> Result<TrustedKeys> {
        let mut keys = TrustedKeys::default();
        for path in &self.key {
            keys.add_file(path)?;
        }
        Ok(if self.allow_sha1 { keys.allowing_sha1() } else { keys })
    }
}

/// Who signs a package.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing")]
pub(super) struct SigningOptions {
    /// Sign by this private key: PEM, or PKCS#8 in DER (.pk8), without a passphrase; RSA with 2048 or
    /// 4096 bits, or EC P-256.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The certificate of the key (PEM), signed with SHA-256. Devices have it in their otacerts.zip.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
}

impl SigningOptions {
    pub(super) fn read(&self) -> Result<Option<PackageSigner>> {
        Ok(self.read_with_certificate()?.map(|(signer, _)| signer))
    }

    /// With the certificate (PEM), as packages hold it.
    pub(super) fn read_with_certificate(&self) -> Result<Option<(PackageSigner, String)>> {
        let (Some(key), Some(certificate)) = (&self.key, &self.certificate) else {
            return Ok(None);
        };
        let pem = String::from_utf8_lossy(&bytes(certificate)?).into_owned();
        let signer = PackageSigner::new(&bytes(key)?, &pem);
        let signer = signer.with_context(|| {
            format!("failed to sign by {} and {}", key.display(), certificate.display())
        })?;
        Ok(Some((signer, pem)))
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY).read_to_end(&mut bytes));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(bytes)
}
