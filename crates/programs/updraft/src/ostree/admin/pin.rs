//! `ostree admin pin`: deployments that are kept whatever comes.

use clap::Args;
use updraft_sysroot::{Origin, Sysroot};
use updraft_terminal::{Result, Terminal};

use super::select;

/// Change the "pinning" state of a deployment
#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Keep it no longer.
    #[arg(long, short = 'u')]
    unpin: bool,
    /// Its index, as `status` lists them.
    #[arg(value_name = "INDEX", required = true)]
    indexes: Vec<String>,
}

impl Pin {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = sysroot.lock(&terminal.context)?;
        let (pinned, word) = (!self.unpin, if self.unpin { "unpinned" } else { "pinned" });
        for index in &self.indexes {
            let deployments = sysroot.deployments()?;
            let deployment = select::at(&deployments, index)?;
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
