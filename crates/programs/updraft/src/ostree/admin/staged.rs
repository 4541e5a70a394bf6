//! Deployments that are finished when the system shuts down.

use clap::Args;
use updraft_error::Kind;
use updraft_sysroot::{DeployRequest, Deployment, Finalization, Finalized, Locked, Sysroot};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::{report, select};

/// The unit that finishes the staged deployment when it is stopped.
const FINALIZER: &str = "ostree-finalize-staged.service";

/// `--stage` and this exclude each other.
pub(super) fn not_with(option: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("--stage cannot currently be combined with {option}"))
}

/// Whether the environment asks for staging, as the peer's tests do.
pub(super) fn by_environment() -> bool {
    std::env::var_os("OSTREE_EX_STAGE_DEPLOYMENTS").is_some()
}

/// Makes a deployment that is finished at shutdown.
pub(super) fn stage(
    locked: &Locked<'_>,
    request: &DeployRequest,
    finalization: Finalization,
    terminal: &Terminal,
) -> Result<Deployment> {
    if request.booted.is_none() {
        let message = "Cannot stage deployment: Not currently booted into an OSTree system";
        return Err(Failure::new(Kind::Invalid, message).hint("leave --stage out"));
    }
    start_finalizer()?;
    Ok(locked.stage_until_shutdown(&terminal.context, request, finalization)?)
}

/// Has systemd finish it: before it is made, for without that it would be lost.
fn start_finalizer() -> Result {
    let debug = std::env::var("OSTREE_SYSROOT_DEBUG").unwrap_or_default();
    if debug.split(',').any(|word| word == "test-staged-path") {
        return Ok(());
    }
    let status = std::process::Command::new("systemctl").args(["start", FINALIZER]).status();
    let status = status.with_context(|| format!("failed to start {FINALIZER}"))?;
    if status.success() {
        return Ok(());
    }
    let message = format!("failed to start {FINALIZER}: {status}");
    Err(Failure::new(Kind::Unavailable, message)
        .hint("without it nobody finishes the deployment at shutdown; leave --stage out"))
}

/// Keep the staged deployment from being finished at shutdown, or no longer
#[derive(Debug, Args)]
pub(crate) struct LockFinalization {
    /// Finish it at shutdown.
    #[arg(long, short = 'u')]
    unlock: bool,
}

impl LockFinalization {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let already = select::lock(sysroot, terminal)?.lock_finalization(!self.unlock)?;
        terminal.line(match (self.unlock, already) {
            (true, true) => "Staged deployment is already prepared for finalization",
            (true, false) => "Staged deployment is now queued to apply on shutdown",
            (false, true) => "Staged deployment is already finalization locked",
            (false, false) => "Staged deployment is now finalization locked",
        })
    }
}

/// Finish the staged deployment
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct FinalizeStaged {
    /// Only keep /boot from being unmounted, until this is stopped.
    #[arg(long)]
    hold: bool,
}

impl FinalizeStaged {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        if select::booted(sysroot)?.is_none() {
            // Nothing can be staged.
            return Ok(());
        }
        if self.hold {
            return hold(sysroot, terminal);
        }
        let done = select::lock(sysroot, terminal)?.finalize_staged()?;
        match done {
            Finalized::Nothing => terminal.line("No deployment staged for finalization"),
            Finalized::Locked => terminal.line("Not finalizing; the staged deployment is locked"),
            Finalized::Done { etc_changes, var_labelled, written } => {
                report::merged(etc_changes.as_ref(), terminal)?;
                report::labelled(var_labelled, terminal)?;
                report::written(&written, terminal)
            }
        }
    }
}

/// An open directory keeps an automounted file system from going away.
fn hold(sysroot: &Sysroot, terminal: &Terminal) -> Result {
    let path = sysroot.path().join("boot");
    let boot = updraft_fs::Dir::open(&path)?;
    while !terminal.context.cancel.is_cancelled() {
        // Woken up by the signal that ends it.
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    drop(boot);
    Ok(())
}

/// Tells of a deployment that was not finished at the last shutdown, and goes on after a soft
/// reboot.
pub(super) fn boot_complete(sysroot: &Sysroot, terminal: &Terminal) -> Result {
    select::require_booted(sysroot)?;
    let locked = select::lock(sysroot, terminal)?;
    locked.complete_soft_reboot()?;
    match locked.finalize_failure()? {
        None => Ok(()),
        Some(why) => {
            let message = format!("ostree-finalize-staged.service failed on previous boot: {why}");
            Err(Failure::new(Kind::Conflict, message))
        }
    }
}
