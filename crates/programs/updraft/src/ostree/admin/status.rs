//! `ostree admin status`.

use clap::Args;
use serde::Serialize;
use updraft_error::{Classify as _, Kind};
use updraft_ostree::{Checksum, Refspec, RemoteName};
use updraft_repo::Repo;
use updraft_repo::pull::RemoteConfig;
use updraft_sysroot::{Deployment, DeploymentId, Origin, Sysroot};
use updraft_terminal::{Result, Terminal};

use super::select::booted;
use crate::ostree::signing;

/// List deployments
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Tell also of signatures that the remote does not demand.
    #[arg(long, short = 'V')]
    verify: bool,
    /// Tell nothing of signatures.
    #[arg(long, short = 'S')]
    skip_signatures: bool,
    /// Only tell whether the booted deployment is the default.
    #[arg(long, short = 'D')]
    is_default: bool,
    /// The same as --json.
    #[arg(short = 'J', hide = true)]
    as_json: bool,
}

#[derive(Serialize)]
struct Listing {
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
    finalization_locked: bool,
    soft_reboot_target: bool,
    staged: bool,
    pinned: bool,
    unlocked: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_title: Option<String>,
    #[serde(skip)]
    signatures: Vec<String>,
}

impl Status {
    /// Prints the deployments, the default first.
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let deployments = sysroot.all_deployments()?;
        let booted = booted(sysroot)?;
        if self.is_default {
            return is_default(&deployments, booted.as_ref(), terminal);
        }
        let booted_at = deployments.iter().position(|one| Some(&one.id) == booted.as_ref());
        let locked = sysroot.staged()?.is_some_and(|staged| staged.is_locked);
        let next = sysroot.soft_reboot_target(&deployments)?;
        let mut entries = Vec::new();
        for (index, deployment) in deployments.iter().enumerate() {
            let mut entry = entry(index, deployment, booted_at, booted.as_ref());
            entry.unlocked = sysroot.unlocked(deployment)?.to_string();
            entry.finalization_locked = deployment.is_staged && locked;
            entry.soft_reboot_target = next.as_ref() == Some(&deployment.id);
            self.add_from_repository(sysroot.repo(), deployment, &mut entry)?;
            entries.push(entry);
        }
        let listing = Listing { deployments: entries };
        if self.as_json {
            return terminal.json(&listing);
        }
        terminal.show(&listing, |listing| {
            if listing.deployments.is_empty() {
                return terminal.line("No deployments.");
            }
            listing.deployments.iter().zip(&deployments).try_for_each(|(entry, deployment)| {
                let origin = deployment.origin.as_ref();
                lines(entry, origin).iter().try_for_each(|line| terminal.line(line))
            })
        })
    }

    fn add_from_repository(
        &self,
        repo: &Repo,
        deployment: &Deployment,
        entry: &mut Entry,
    ) -> Result {
        let commit = deployment.id.checksum;
        match repo.load_commit(&commit) {
            Ok((loaded, _)) => {
                let title = loaded.metadata.get_str("ostree.source-title");
                entry.source_title = title.map(str::to_owned);
            }
            // A deployment outlives its commit's objects.
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let refspec = entry.refspec.as_deref().and_then(|refspec| refspec.parse::<Refspec>().ok());
        if self.skip_signatures {
            return Ok(());
        }
        if let Some(remote) = refspec.and_then(|refspec| refspec.remote) {
            entry.signatures = self.signatures(repo, &commit, &remote)?;
        }
        Ok(())
    }

    /// What there is to say of the commit's signatures, where the remote demands such.
    fn signatures(
        &self,
        repo: &Repo,
        commit: &Checksum,
        remote: &RemoteName,
    ) -> Result<Vec<String>> {
        // The remote may be gone, and what came from it still there.
        let Ok(config) = RemoteConfig::read(&repo.remotes_config()?, remote) else {
            return Ok(Vec::new());
        };
        if !config.demands.gpg && !self.verify {
            return Ok(Vec::new());
        }
        signing::gpg_lines(repo, commit, remote)
    }
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
        finalization_locked: false,
        soft_reboot_target: false,
        staged: deployment.is_staged,
        pinned: deployment.is_pinned(),
        unlocked: String::new(),
        version: deployment.version.clone(),
        source_title: None,
        signatures: Vec::new(),
    }
}

fn is_default(
    deployments: &[Deployment],
    booted: Option<&DeploymentId>,
    terminal: &Terminal,
) -> Result {
    let is_first = deployments.first().is_some_and(|first| Some(&first.id) == booted);
    terminal.line(if is_first { "default" } else { "not-default" })
}

fn lines(entry: &Entry, origin: Option<&Origin>) -> Vec<String> {
    let star = if entry.booted { '*' } else { ' ' };
    let state = match entry {
        Entry { finalization_locked: true, .. } => " (finalization locked)",
        Entry { staged: true, .. } => " (staged)",
        Entry { pending: true, .. } => " (pending)",
        Entry { rollback: true, .. } => " (rollback)",
        _ => "",
    };
    let Entry { stateroot, checksum, serial, .. } = entry;
    let mut lines = vec![format!("{star} {stateroot} {checksum}.{serial}{state}")];
    if let Some(version) = &entry.version {
        lines.push(format!("    Version: {version}"));
    }
    if entry.unlocked != "none" {
        lines.push(format!("    Unlocked: {}", entry.unlocked));
    }
    if entry.pinned {
        lines.push("    Pinned: yes".to_owned());
    }
    lines.push(match (origin, &entry.refspec) {
        (None, _) => "    origin: none".to_owned(),
        (Some(_), None) => "    origin: <unknown origin type>".to_owned(),
        (Some(_), Some(refspec)) => format!("    origin refspec: {refspec}"),
    });
    if let Some(title) = &entry.source_title {
        lines.push(format!("    `- {title}"));
    }
    lines.extend(entry.signatures.iter().map(|line| format!("    GPG: {line}")));
    lines
}
