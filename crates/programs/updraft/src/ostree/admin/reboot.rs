//! Starting the system again when something was deployed.

use updraft_error::Kind;
use updraft_sysroot::Sysroot;
use updraft_terminal::{Failure, Result, ResultExt as _};

/// Reboots when asked to, by kexec or as usual.
pub(super) fn run(sysroot: &Sysroot, reboot: bool, kexec: bool) -> Result {
    if kexec {
        sysroot.default_kernel()?.load()?;
        return by_systemd("kexec");
    }
    if reboot { by_systemd("reboot") } else { Ok(()) }
}

/// Starts the system again, by whoever runs it.
fn by_systemd(verb: &str) -> Result {
    let status = std::process::Command::new("systemctl").arg(verb).status();
    let status = status.with_context(|| format!("failed to run systemctl {verb}"))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(Kind::Unavailable, format!("failed to {verb}: {status}")))
}
