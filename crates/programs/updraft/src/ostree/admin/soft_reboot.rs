//! `ostree admin prepare-soft-reboot`: another deployment takes over without the machine's reboot.

use clap::Args;
use updraft_error::Kind;
use updraft_sysroot::Sysroot;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::select;

/// The program that puts the root of a deployment together, at boot and here.
const ASSEMBLER: &str = "/usr/lib/ostree/ostree-prepare-soft-reboot";

/// Prepare for soft-reboot into target deployment
#[derive(Debug, Args)]
pub(crate) struct PrepareSoftReboot {
    /// Soft-reboot when done.
    #[arg(long)]
    reboot: bool,
    /// Take back what was prepared.
    #[arg(long)]
    reset: bool,
    /// The deployment, as `status` lists them.
    #[arg(value_name = "INDEX", required_unless_present = "reset")]
    index: Option<String>,
}

impl PrepareSoftReboot {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let locked = select::lock(sysroot, terminal)?;
        if self.reset {
            return Ok(locked.forget_soft_reboot()?);
        }
        let deployments = sysroot.all_deployments()?;
        let target = select::at(&deployments, self.index.as_deref().unwrap_or_default())?;
        sysroot.check_soft_reboot(&target.id)?;
        locked.forget_soft_reboot()?;
        assemble(&sysroot.path().join(target.id.path()))?;
        if !self.reboot {
            return Ok(());
        }
        drop(locked);
        let status = std::process::Command::new("systemctl").arg("soft-reboot").status();
        let status = status.context("failed to run systemctl soft-reboot")?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(Kind::Unavailable, format!("failed to soft-reboot: {status}")))
    }
}

/// Has the root put together, at `/run/nextroot`. The program works on its own directory.
fn assemble(deployment: &std::path::Path) -> Result {
    let status = std::process::Command::new(ASSEMBLER).current_dir(deployment).status();
    let status = match status {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = "soft reboot not supported";
            return Err(Failure::new(Kind::Unsupported, message)
                .hint(format!("there is no {ASSEMBLER}; an ordinary reboot does the same")));
        }
        Err(error) => return Err(Failure::from(error)),
    };
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(Kind::Unavailable, format!("{ASSEMBLER}: {status}")))
}
