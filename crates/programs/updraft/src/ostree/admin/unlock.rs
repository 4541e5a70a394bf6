//! `ostree admin unlock`: making what runs writable.

use clap::Args;
use updraft_error::Kind;
use updraft_sysroot::Sysroot;
use updraft_terminal::{Failure, Result};

use super::select;

/// Make the current deployment mutable (as a hotfix or development)
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// Keep the changes over reboots.
    #[arg(long)]
    hotfix: bool,
    /// Leave it to programs to mount it writable for themselves.
    #[arg(long)]
    transient: bool,
}

impl Unlock {
    pub(super) fn run(&self, sysroot: &Sysroot) -> Result {
        select::require_booted(sysroot)?;
        if self.hotfix && self.transient {
            let message = "Cannot specify both --hotfix and --transient";
            return Err(Failure::new(Kind::Invalid, message));
        }
        Err(Failure::new(Kind::Unsupported, "Unlocking the deployment that runs")
            .hint("`mount -t overlay` over /usr makes it writable until the next reboot"))
    }
}
