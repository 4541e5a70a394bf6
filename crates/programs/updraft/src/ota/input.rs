//! What commands about packages have in common: whose signature counts, and who signs.

use std::path::{Path, PathBuf};

use clap::Args;
use updraft_crypto::package::PackageSigner;
use updraft_crypto::plain::PrehashSigner;
use updraft_error::Kind;
use updraft_recovery_engine::TrustedKeys;
use updraft_terminal::{Failure, Result, ResultExt as _};

use crate::signers::{self, TokenOptions};

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
    /// Sign by this private key: a file (PEM, or PKCS#8 in DER (.pk8), without a passphrase), or one in a
    /// token (`pkcs11:token=NAME;object=NAME?module-path=FILE&pin-source=file:FILE`); RSA with 2048 or
    /// 4096 bits, or EC P-256.
    #[arg(long, value_name = "FILE|URI", requires = "certificate")]
    key: Option<String>,
    #[command(flatten)]
    token: TokenOptions,
    /// Sign by this program: it reads a hash of 32 bytes and writes the signature.
    #[arg(long, value_name = "PROGRAM", requires = "certificate", conflicts_with = "key")]
    signer: Option<PathBuf>,
    /// The certificate of the key (PEM), signed with SHA-256. Devices have it in their otacerts.zip.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

impl SigningOptions {
    pub(super) fn read(&self) -> Result<Option<PackageSigner>> {
        Ok(self.read_with_certificate()?.map(|(signer, _)| signer))
    }

    /// With the certificate (PEM), as packages hold it.
    pub(super) fn read_with_certificate(&self) -> Result<Option<(PackageSigner, String)>> {
        let Some(certificate) = &self.certificate else { return Ok(None) };
        let key = match (&self.key, &self.signer) {
            (Some(named), _) => signers::private_key(named, &self.token)?,
            (None, Some(program)) => {
                signers::by_program(program, signers::public_key(certificate)?)?
            }
            (None, None) => {
                let failure = Failure::new(Kind::Invalid, "there is a certificate and no key");
                return Err(failure.hint("give --key or --signer"));
            }
        };
        Ok(Some(with_certificate(key, certificate)?))
    }

    /// By signatures that were made before; None if there are none, but maybe somebody else.
    pub(super) fn read_or_use(&self, signatures: &[PathBuf]) -> Result<Option<PackageSigner>> {
        if signatures.is_empty() {
            return self.read();
        }
        let Some(certificate) = &self.certificate else { return Ok(None) };
        let key = signers::by_signatures(signers::public_key(certificate)?, signatures)?;
        Ok(Some(with_certificate(key, certificate)?.0))
    }
}

fn with_certificate(key: PrehashSigner, certificate: &Path) -> Result<(PackageSigner, String)> {
    let pem = String::from_utf8_lossy(&signers::read(certificate)?).into_owned();
    let signer = PackageSigner::with(key, &pem);
    let signer = signer.with_context(|| format!("failed to sign for {}", certificate.display()))?;
    Ok((signer, pem))
}
