//! `updraft payload sign`.

use std::path::PathBuf;

use clap::Args;
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input::{self, SigningOptions};
use super::properties::Report;

/// Sign a payload, in place of whatever signatures it has.
///
/// The manifest says where the signatures are, and so changes; all else of it stays, also what this
/// version does not know. Without keys the signatures are taken off.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The payload, or a package with one; `-` for standard input.
    payload: PathBuf,
    /// The payload to write.
    output: PathBuf,
    #[command(flatten)]
    signing: SigningOptions,
}

impl Sign {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let signers = self.signing.read()?;
        let mut source = input::open(&self.payload)?;
        let properties = updraft_slots::sign(&mut *source, &signers, &self.output)
            .with_context(|| format!("failed to sign {}", self.payload.display()))?;
        terminal
            .show(&Report::of(&properties), |_| terminal.line(properties.to_string().trim_end()))
    }
}
