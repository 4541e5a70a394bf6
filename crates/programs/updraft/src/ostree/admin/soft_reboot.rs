//! `ostree admin prepare-soft-reboot`: another deployment takes over without the machine's reboot.

use clap::Args;
use updraft_error::{Classify as _, Kind};
use updraft_sysroot::Sysroot;
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::select;

/// The program that puts the root of a deployment together, at boot and here.
const ASSEMBLERS: [&str; 3] =
    ["/usr/lib/updraft/updraft-init", "/usr/sbin/updraft-init", "/usr/bin/updraft-init"];

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
        // The words are those that scripts know.
        sysroot
            .check_soft_reboot(&target.id)
            .map_err(|error| Failure::new(error.kind(), error.to_string()))?;
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

/// Has the root put together, at `/run/nextroot`.
pub(super) fn assemble(deployment: &std::path::Path) -> Result {
    let found = ASSEMBLERS.into_iter().find(|path| std::path::Path::new(path).exists());
    let program = found.ok_or_else(|| {
        let names = ASSEMBLERS.join(", ");
        Failure::new(Kind::Unsupported, "soft reboot not supported")
            .hint(format!("none of {names} is there; an ordinary reboot does the same"))
    })?;
    let mut command = std::process::Command::new(program);
    let status = command.arg("--soft-reboot").arg(deployment).status();
    let status = status.with_context(|| format!("failed to run {program}"))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(Kind::Unavailable, format!("{program}: {status}")))
}
