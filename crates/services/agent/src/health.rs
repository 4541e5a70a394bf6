//! What has to work before an update is confirmed.

use std::time::Duration;

use updraft_process::Command;
use updraft_task::{Context, Event};

use crate::config::HealthCheck;
use crate::{Error, Result};

/// Runs all checks in their order; the first that does not pass ends it. Each has its own
/// deadline and is killed with all its children when that is over.
pub(crate) fn run(ctx: &Context, checks: &[HealthCheck]) -> Result<()> {
    for check in checks {
        ctx.report(&Event::Message(format!("health check {}", check.name)));
        let Some((program, arguments)) = check.command.split_first() else { continue };
        let command =
            Command::new(program).args(arguments).timeout(Duration::from_secs(check.timeout_sec));
        command.run(ctx).map_err(|source| match source {
            updraft_process::Error::Cancelled(cancelled) => Error::Cancelled(cancelled),
            source => Error::Health { name: check.name.clone(), source },
        })?;
    }
    Ok(())
}
