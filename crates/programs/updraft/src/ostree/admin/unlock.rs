//! `ostree admin unlock`: making what runs writable.

use clap::Args;
use updraft_error::Kind;
use updraft_sysroot::{Sysroot, Unlock as How};
use updraft_terminal::{Failure, Result, Terminal};

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
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let how = match (self.hotfix, self.transient) {
            (true, true) => {
                let message = "Cannot specify both --hotfix and --transient";
                return Err(Failure::new(Kind::Invalid, message));
            }
            (true, _) => How::Hotfix,
            (_, true) => How::Transient,
            _ => How::Development,
        };
        select::require_booted(sysroot)?;
        let locked = select::lock(sysroot, terminal)?;
        locked.unlock(&terminal.context, how)?;
        terminal.line(match how {
            How::Development => {
                "Development mode enabled. /usr is a writable overlay now; the next boot starts \
                 without what is changed there."
            }
            How::Hotfix => {
                "Hotfix mode enabled. /usr is a writable overlay of this deployment now, also \
                 after a reboot. A clone without it is the deployment to roll back to."
            }
            How::Transient => {
                "Transient mode enabled. /usr is an overlay now that is mounted read-only; \
                 remount it writable in a mount namespace of your own."
            }
        })
    }
}
