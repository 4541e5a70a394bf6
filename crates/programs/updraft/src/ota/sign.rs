//! `updraft ota sign`.

use std::path::PathBuf;

use clap::Args;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::input::SigningOptions;

/// Sign a package as a whole, in place of the signature that it may have.
///
/// Only the comment of the zip file changes: all entries stay where they are, and with them the ranges
/// that the package tells of its own (`ota-property-files`).
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The package.
    package: PathBuf,
    /// The signed package to write.
    output: PathBuf,
    #[command(flatten)]
    signing: SigningOptions,
    /// The signature of the hash that `updraft ota hash` told, by the key of the certificate.
    #[arg(
        long,
        value_name = "FILE",
        requires = "certificate",
        conflicts_with_all = ["key", "signer"],
        help_heading = "Signing"
    )]
    signature: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let missing = || {
            let failure = Failure::new(Kind::Invalid, "nobody is given who signs".to_owned());
            failure.hint("give --certificate, and --key, --signer or --signature")
        };
        let signer = self.signing.read_or_use(self.signature.as_slice())?.ok_or_else(missing)?;
        updraft_recovery_engine::sign(&terminal.context, &self.package, &signer, &self.output)
            .with_context(|| format!("failed to sign {}", self.package.display()))
    }
}
