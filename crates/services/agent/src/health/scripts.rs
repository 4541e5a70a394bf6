//! Scripts in folders laid out as greenboot's.
//!
//! ```text
//! check/required.d/*    have to end with 0
//! check/wanted.d/*      should
//! green.d/*             run when all is well
//! red.d/*               run when it is not
//! ```
//! Of each folder every executable file counts, in the order of the names.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_process::Command;
use updraft_task::Context;

use super::{CheckResult, by_command, result};
use crate::config::HealthChecks;
use crate::{Error, Result};

/// How a system was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All checks passed that have to.
    Green,
    /// One did not.
    Red,
}

/// The checks among them.
pub(super) fn check(ctx: &Context, health: &HealthChecks) -> Result<Vec<CheckResult>> {
    let mut results = Vec::new();
    for (folder, required) in [("check/required.d", true), ("check/wanted.d", false)] {
        for base in &health.folders {
            let scripts = match scripts(&base.join(folder)) {
                Ok(scripts) => scripts,
                // Checks that cannot be found have not passed.
                Err(Error::Read { path, source }) => {
                    let problem = Some(format!("failed to read it: {source}"));
                    results.push(result(path.display().to_string(), required, problem));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for script in scripts {
                let name = script.display().to_string();
                results.push(by_command(ctx, name, required, &command(health, &script))?);
            }
        }
    }
    Ok(results)
}

/// Runs what the device's maker wants to be run after a verdict. Nothing depends on its success.
pub(crate) fn announce(ctx: &Context, health: &HealthChecks, verdict: Verdict) -> Result<()> {
    let folder = match verdict {
        Verdict::Green => "green.d",
        Verdict::Red => "red.d",
    };
    for base in &health.folders {
        for script in scripts(&base.join(folder)).unwrap_or_default() {
            match command(health, &script).run(ctx) {
                Ok(_) => {}
                Err(updraft_process::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    script = %script.display(),
                    "a script after the health checks failed"
                ),
            }
        }
    }
    Ok(())
}

fn command(health: &HealthChecks, script: &Path) -> Command {
    Command::new(script).timeout(Duration::from_secs(health.script_timeout_sec))
}

fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut scripts = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link to a script is one.
        let executable = std::fs::metadata(&path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
        if executable && !hidden {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}
