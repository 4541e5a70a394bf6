//! Deployments that are finished when the system shuts down.

use updraft_error::Kind;
use updraft_sysroot::DeploymentId;
use updraft_terminal::Failure;

/// Why a deployment is not staged.
pub(super) fn refused(booted: Option<&DeploymentId>) -> Failure {
    if booted.is_none() {
        let message = "Cannot stage deployment: Not currently booted into an OSTree system";
        return Failure::new(Kind::Invalid, message).hint("leave --stage out");
    }
    let message = "Cannot stage deployment: it would have to be finished at shutdown";
    Failure::new(Kind::Unsupported, message).hint("leave --stage out, and reboot soon")
}

/// `--stage` and this exclude each other.
pub(super) fn not_with(option: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("--stage cannot currently be combined with {option}"))
}

/// Whether the environment asks for staging, as the peer's tests do.
pub(super) fn by_environment() -> bool {
    std::env::var_os("OSTREE_EX_STAGE_DEPLOYMENTS").is_some()
}
