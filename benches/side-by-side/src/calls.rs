//! How many system calls an operation makes, as `strace` counts them. That slows it down, so that
//! nothing else is measured in the same run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::operation::Operation;
use crate::setup::{Peer, Setup};

/// System calls for each object that is in the repository afterwards, by each of the peers.
/// `None` without `strace`.
pub(crate) fn count(
    setup: &Setup,
    operation: &Operation,
    peers: &[Peer; 2],
) -> Result<Option<[f64; 2]>> {
    if Command::new("strace").arg("--version").output().is_err() {
        return Ok(None);
    }
    let mut counted = [0.0; 2];
    for (peer, counted) in peers.iter().zip(&mut counted) {
        let scratch = setup.scratch()?;
        let command = operation.prepare(setup, peer, scratch.path())?;
        let table = scratch.path().join("calls");
        let mut traced = Command::new("strace");
        traced.args(["--follow-forks", "--summary-only", "--output"]).arg(&table);
        traced.arg(command.get_program()).args(command.get_args());
        let output = traced.output()?;
        if !output.status.success() {
            bail!("{traced:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let total = total(&std::fs::read_to_string(table)?)?;
        *counted = total / objects(&scratch.path().join("repo/objects"))?;
    }
    Ok(Some(counted))
}

/// The calls of the last line, `100.00 SECONDS USECS/CALL CALLS ERRORS total`.
fn total(table: &str) -> Result<f64> {
    let line = table.lines().rev().find(|line| line.trim_end().ends_with("total"));
    let fields: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let calls = fields.get(3).context("read the table of strace")?;
    Ok(calls.parse()?)
}

fn objects(folder: &Path) -> Result<f64> {
    let mut objects = 0_u32;
    for below in std::fs::read_dir(folder)? {
        objects += u32::try_from(std::fs::read_dir(below?.path())?.count())?;
    }
    Ok(f64::from(objects.max(1)))
}
