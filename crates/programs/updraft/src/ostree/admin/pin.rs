//! `ostree admin pin`: deployments that are kept whatever comes.

use clap::Args;
use updraft_error::Kind;
use updraft_sysroot::{Origin, Sysroot};
use updraft_terminal::{Failure, Result, Terminal};

use super::select;

/// Change the "pinning" state of a deployment
#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Keep it no longer.
    #[arg(long, short = 'u')]
    unpin: bool,
    /// Its index, as `status` lists them, or `booted`, `pending` or `rollback`.
    #[arg(value_name = "INDEX", required = true)]
    indexes: Vec<String>,
}

impl Pin {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = select::lock(sysroot, terminal)?;
        let (pinned, word) = (!self.unpin, if self.unpin { "unpinned" } else { "pinned" });
        for index in &self.indexes {
            let deployments = sysroot.all_deployments()?;
            let deployment = select::named(sysroot, &deployments, index)?;
            if deployment.is_staged {
                return Err(Failure::new(Kind::Invalid, "Cannot pin staged deployment"));
            }
            if deployment.is_pinned() == pinned {
                terminal.line(format!("Deployment {index} is already {word}"))?;
                continue;
            }
            let mut origin = deployment.origin.clone().unwrap_or_else(Origin::empty);
            origin.set_pinned(pinned);
            locked.write_origin(&deployment.id, &origin)?;
            terminal.line(format!("Deployment {index} is now {word}"))?;
        }
        Ok(())
    }
}
