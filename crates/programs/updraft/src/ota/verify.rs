//! `updraft ota verify`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_recovery_engine::VerifiedPackage;
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input::TrustOptions;

/// Verify the signature of a package as a whole, as recovery does.
///
/// One of the keys has to have signed all of it. Which hash it signed is not the package's choice: it is
/// that of the certificate's own signature, SHA-1 or SHA-256. What is in the package is not looked at.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The package.
    package: PathBuf,
    #[command(flatten)]
    trust: TrustOptions,
}

#[derive(Serialize)]
struct Report {
    signed_by_trusted_key: bool,
    entries: usize,
}

impl Verify {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let keys = self.trust.read()?;
        let package = VerifiedPackage::open(&terminal.context, &self.package, &keys)
            .with_context(|| format!("failed to verify {}", self.package.display()))?;
        let report = Report { signed_by_trusted_key: true, entries: package.entries().len() };
        terminal.show(&report, |_| {
            let path = self.package.display();
            terminal.line(format!("{path}: whole, and signed by a key that is trusted"))
        })
    }
}
