//! What has to work before an update is confirmed.
//!
//! | check | has to pass |
//! | --- | --- |
//! | `disk`, `server`, `units` of the settings | yes |
//! | commands of the settings | yes |
//! | scripts in `check/required.d` of greenboot's folders | yes |
//! | scripts in `check/wanted.d` | no, it is only told |
//!
//! Afterwards the scripts in `green.d` or `red.d` are run.

use std::time::Duration;

use serde::Serialize;
use updraft_process::Command;
use updraft_task::{Context, Event};

use crate::clock::Clock;
use crate::config::Settings;
use crate::session::Session;
use crate::{Error, Result};

mod builtin;
mod scripts;

pub(crate) use scripts::{Verdict, announce};

/// What all health checks came to. The names in JSON are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// Whether all passed that have to.
    pub healthy: bool,
    /// Each check, in the order in which they were run.
    pub checks: Vec<CheckResult>,
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// What it is called.
    pub name: String,
    /// Whether it has to pass.
    pub required: bool,
    /// Whether it passed.
    pub passed: bool,
    /// Why it did not.
    pub problem: Option<String>,
}

impl HealthReport {
    /// The first check that had to pass and did not.
    pub(crate) fn verdict(&self) -> Result<()> {
        let failed = self.checks.iter().find(|check| check.required && !check.passed);
        failed.map_or(Ok(()), |check| {
            Err(Error::Health {
                name: check.name.clone(),
                problem: check.problem.clone().unwrap_or_default(),
            })
        })
    }
}

/// Runs all checks, each to its end or its deadline, at which it is killed with its children.
/// `server` is the gateway's address.
pub(crate) fn run(
    ctx: &Context,
    settings: &Settings,
    clock: &dyn Clock,
    server: Option<&str>,
) -> Result<HealthReport> {
    let health = &settings.health;
    let mut checks = builtin::run(ctx, settings, clock, server)?;
    for check in &health.checks {
        let Some((program, arguments)) = check.command.split_first() else { continue };
        let command =
            Command::new(program).args(arguments).timeout(Duration::from_secs(check.timeout_sec));
        checks.push(by_command(ctx, check.name.clone(), true, &command)?);
    }
    checks.extend(scripts::check(ctx, health)?);
    let healthy = checks.iter().all(|check| check.passed || !check.required);
    Ok(HealthReport { healthy, checks })
}

/// Runs all checks for a verdict on what runs; says so when it is bad.
pub(crate) fn judge(ctx: &Context, session: &Session) -> Result<Result<()>> {
    let Session { settings, clock, gateway, .. } = session;
    let server = Some(gateway.addresses.server.as_str());
    let verdict = run(ctx, settings, clock.as_ref(), server)?.verdict();
    if verdict.is_err() {
        announce(ctx, &settings.health, Verdict::Red)?;
    }
    Ok(verdict)
}

/// A check that a program makes.
fn by_command(
    ctx: &Context,
    name: String,
    required: bool,
    command: &Command,
) -> Result<CheckResult> {
    ctx.report(&Event::Message(format!("health check {name}")));
    let problem = match command.run(ctx) {
        Ok(_) => None,
        Err(updraft_process::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => Some(chain(&error)),
    };
    Ok(result(name, required, problem))
}

fn result(name: String, required: bool, problem: Option<String>) -> CheckResult {
    if let Some(problem) = &problem {
        tracing::warn!(check = name, required, problem, "a health check failed");
    }
    CheckResult { name, required, passed: problem.is_none(), problem }
}

/// An error with its causes, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
