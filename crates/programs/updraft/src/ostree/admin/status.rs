//! `ostree admin status`.

use serde::Serialize;
use updraft_sysroot::{Deployment, DeploymentId, Origin, Sysroot};
use updraft_terminal::{Result, Terminal};

use super::booted;

#[derive(Serialize)]
struct Status {
    deployments: Vec<Entry>,
}

/// One deployment; the members are those of `ostree admin status --json`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    checksum: String,
    stateroot: String,
    refspec: Option<String>,
    serial: u32,
    index: usize,
    booted: bool,
    pending: bool,
    rollback: bool,
    staged: bool,
    pinned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// Prints the deployments, the default first.
pub(super) fn print(sysroot: &Sysroot, terminal: &Terminal) -> Result {
    let deployments = sysroot.deployments()?;
    let booted = booted(sysroot)?;
    let booted_at = deployments.iter().position(|one| Some(&one.id) == booted.as_ref());
    let entries = deployments.iter().enumerate();
    let entries: Vec<Entry> =
        entries.map(|(index, one)| entry(index, one, booted_at, booted.as_ref())).collect();
    terminal.show(&Status { deployments: entries }, |status| {
        if status.deployments.is_empty() {
            return terminal.line("No deployments.");
        }
        status.deployments.iter().zip(&deployments).try_for_each(|(entry, deployment)| {
            let origin = deployment.origin.as_ref();
            lines(entry, origin).iter().try_for_each(|line| terminal.line(line))
        })
    })
}

fn entry(
    index: usize,
    deployment: &Deployment,
    booted_at: Option<usize>,
    booted: Option<&DeploymentId>,
) -> Entry {
    let same_os = booted.is_some_and(|id| id.stateroot == deployment.id.stateroot);
    Entry {
        checksum: deployment.id.checksum.to_string(),
        stateroot: deployment.id.stateroot.clone(),
        refspec: deployment.origin.as_ref().and_then(Origin::refspec),
        serial: deployment.id.deploy_serial,
        index,
        booted: booted_at == Some(index),
        pending: same_os && booted_at.is_some_and(|at| index < at),
        rollback: same_os && booted_at.is_some_and(|at| index > at),
        staged: false,
        pinned: deployment.is_pinned(),
        version: deployment.version.clone(),
    }
}

fn lines(entry: &Entry, origin: Option<&Origin>) -> Vec<String> {
    let star = if entry.booted { '*' } else { ' ' };
    let state = match (entry.pending, entry.rollback) {
        (true, _) => " (pending)",
        (_, true) => " (rollback)",
        _ => "",
    };
    let Entry { stateroot, checksum, serial, .. } = entry;
    let mut lines = vec![format!("{star} {stateroot} {checksum}.{serial}{state}")];
    if let Some(version) = &entry.version {
        lines.push(format!("    Version: {version}"));
    }
    if entry.pinned {
        lines.push("    Pinned: yes".to_owned());
    }
    lines.push(match (origin, &entry.refspec) {
        (None, _) => "    origin: none".to_owned(),
        (Some(_), None) => "    origin: <unknown origin type>".to_owned(),
        (Some(_), Some(refspec)) => format!("    origin refspec: {refspec}"),
    });
    lines
}
