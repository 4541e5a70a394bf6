//! `ostree admin upgrade`, `ostree admin switch`: the next commit of the origin, or of another.

use clap::Args;
use updraft_error::Kind;
use updraft_ostree::{Checksum, Refspec};
use updraft_repo::{Repo, pull};
use updraft_sysroot::{
    DeployRequest, Deployment, DeploymentId, Finalization, Merge, Origin, Sysroot,
};
use updraft_terminal::{Failure, Result, Terminal};

use super::{fetch, report, select, staged};

/// The commit metadata that names the ref which takes over.
const REBASE: &str = "ostree.endoflife-rebase";

/// Construct new tree from current origin and deploy it, if it changed
#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The stateroot; by default that of the booted deployment.
    #[arg(long, visible_alias = "stateroot", value_name = "OSNAME")]
    os: Option<String>,
    /// Reboot when something was deployed.
    #[arg(long, short = 'r')]
    reboot: bool,
    /// Reboot without the firmware when something was deployed.
    #[arg(long, short = 'k')]
    kexec: bool,
    /// Permit commits that are older than what runs.
    #[arg(long)]
    allow_downgrade: bool,
    /// Deploy this commit instead of the latest.
    #[arg(long, value_name = "CHECKSUM")]
    override_commit: Option<String>,
    /// Only download.
    #[arg(long)]
    pull_only: bool,
    /// Only deploy what was downloaded before.
    #[arg(long)]
    deploy_only: bool,
    /// Finish the deployment when the system shuts down.
    #[arg(long)]
    stage: bool,
}

impl Upgrade {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        for (other, option) in [
            (self.deploy_only, "--deploy-only"),
            (self.reboot || self.kexec, "--reboot or --kexec"),
        ] {
            if self.pull_only && other {
                let message = format!("Cannot simultaneously specify --pull-only and {option}");
                return Err(Failure::new(Kind::Invalid, message));
            }
        }
        let mut upgrade = Next::new(sysroot, self.os.as_deref(), terminal)?;
        upgrade.check_configured()?;
        match &self.override_commit {
            Some(commit) if commit.parse::<Checksum>().is_err() => {
                return Err(Failure::new(Kind::Invalid, format!("Invalid rev {commit}")));
            }
            Some(commit) => upgrade.origin.set("override-commit", commit),
            None => upgrade.origin.remove("override-commit"),
        }
        upgrade.stage = self.stage || staged::by_environment();
        let Some(commit) = upgrade.resolve(!self.deploy_only, self.allow_downgrade)? else {
            return terminal.line("No update available.");
        };
        if self.pull_only {
            return Ok(());
        }
        upgrade.deploy(commit)?;
        super::reboot::run(sysroot, self.reboot, self.kexec)
    }
}

/// Construct new tree from REFSPEC and deploy it
#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// Reboot when done.
    #[arg(long, short = 'r')]
    reboot: bool,
    /// Reboot without the firmware when done.
    #[arg(long, short = 'k')]
    kexec: bool,
    /// Finish the deployment when the system shuts down.
    #[arg(long)]
    stage: bool,
    /// The stateroot; by default that of the booted deployment.
    #[arg(long, visible_alias = "stateroot", value_name = "OSNAME")]
    os: Option<String>,
    /// The ref to follow from now on; `REMOTE:` is the same ref of another remote.
    #[arg(value_name = "REFSPEC")]
    refspec: String,
}

impl Switch {
    pub(super) fn run(&self, sysroot: &Sysroot, terminal: &Terminal) -> Result {
        let mut next = Next::new(sysroot, self.os.as_deref(), terminal)?;
        next.stage = self.stage || staged::by_environment();
        let old = next.refspec()?;
        let new = if let Some(remote) = self.refspec.strip_suffix(':') {
            Refspec::remote(remote.parse()?, old.name.clone())
        } else {
            let mut new: Refspec = self.refspec.parse()?;
            new.remote = new.remote.or_else(|| old.remote.clone());
            new
        };
        if new == old {
            let message = format!("Old and new refs are equal: {new}");
            return Err(Failure::new(Kind::Invalid, message));
        }
        next.origin = Origin::following(&new.to_string());
        // Another system may be older, and be deployed already.
        let commit = next.resolve(true, true)?;
        let commit = commit.unwrap_or(next.merge.id.checksum);
        next.deploy(commit)?;
        sysroot.repo().set_ref(&old, None)?;
        terminal.line(format!("Deleting ref '{old}'"))?;
        super::reboot::run(sysroot, self.reboot, self.kexec)
    }
}

/// The next deployment of a stateroot, in the making.
struct Next<'a> {
    sysroot: &'a Sysroot,
    locked: updraft_sysroot::Locked<'a>,
    terminal: &'a Terminal,
    booted: Option<DeploymentId>,
    merge: Deployment,
    origin: Origin,
    stage: bool,
}

impl<'a> Next<'a> {
    fn new(sysroot: &'a Sysroot, os: Option<&str>, terminal: &'a Terminal) -> Result<Self> {
        let locked = select::lock(sysroot, terminal)?;
        let booted = select::booted(sysroot)?;
        let stateroot = os.map(str::to_owned);
        let stateroot = stateroot.or_else(|| booted.as_ref().map(|id| id.stateroot.clone()));
        let stateroot = stateroot.ok_or_else(|| {
            let message = "Not currently booted into an OSTree system and no OS specified";
            Failure::new(Kind::Invalid, message).hint("name the stateroot with --os")
        })?;
        let deployments = sysroot.deployments()?;
        let merge = select::merge_deployment(&deployments, booted.as_ref(), &stateroot);
        let merge = merge.ok_or_else(|| {
            let message = format!("No previous deployment for OS '{stateroot}'");
            Failure::new(Kind::NotFound, message).hint("begin with `ostree admin deploy`")
        })?;
        let origin = merge.origin.as_ref().map(Origin::for_upgrade).ok_or_else(|| {
            let name = merge.id.dir_name();
            Failure::new(Kind::NotFound, format!("No origin known for deployment {name}"))
        })?;
        Ok(Self { sysroot, locked, terminal, booted, merge, origin, stage: false })
    }

    /// Whoever made the origin may demand that something be done before the first upgrade.
    fn check_configured(&self) -> Result {
        match self.origin.get("unconfigured-state") {
            None => Ok(()),
            Some(state) => {
                let message = format!("origin unconfigured-state: {state}");
                Err(Failure::new(Kind::Invalid, message))
            }
        }
    }

    fn refspec(&self) -> Result<Refspec> {
        let refspec = self.origin.refspec().ok_or_else(|| {
            let message =
                "No origin/refspec in current deployment origin; cannot upgrade via ostree";
            Failure::new(Kind::NotFound, message).hint("`ostree admin switch` names one")
        })?;
        Ok(refspec.parse()?)
    }

    /// The commit that the origin leads to, fetched when asked for; `None` when that is what is
    /// deployed already.
    fn resolve(&mut self, pull: bool, allow_older: bool) -> Result<Option<Checksum>> {
        let repo = self.sysroot.repo();
        let current = self.merge.id.checksum;
        let not_before = (!allow_older).then_some(current);
        let refspec = self.refspec()?;
        let wanted = self.origin.get("override-commit");
        if pull && let Some(remote) = &refspec.remote {
            let what = wanted.as_deref().unwrap_or(refspec.name.as_str());
            fetch::fetch(repo, remote, what, not_before, self.terminal)?;
        }
        let commit = match &wanted {
            Some(commit) => repo.resolve(commit)?,
            None => self.follow(&refspec, pull)?,
        };
        if commit == current {
            return Ok(None);
        }
        if !allow_older {
            refuse_older(repo, current, commit)?;
        }
        Ok(Some(commit))
    }

    /// The commit of the ref, or of the one that took over from it.
    fn follow(&mut self, refspec: &Refspec, pull: bool) -> Result<Checksum> {
        let repo = self.sysroot.repo();
        let commit = repo.resolve(&refspec.to_string())?;
        let (loaded, _) = repo.load_commit(&commit)?;
        let Some(successor) = loaded.metadata.get_str(REBASE) else { return Ok(commit) };
        let successor = Refspec { remote: refspec.remote.clone(), name: successor.parse()? };
        if pull && let Some(remote) = &successor.remote {
            fetch::fetch(repo, remote, successor.name.as_str(), None, self.terminal)?;
        }
        self.origin.set("refspec", &successor.to_string());
        Ok(repo.resolve(&successor.to_string())?)
    }

    fn deploy(&self, commit: Checksum) -> Result {
        let stateroot = &self.merge.id.stateroot;
        let mut request = DeployRequest::new(stateroot, commit, self.origin.clone());
        request.merge = Merge::From(self.merge.id.clone());
        request.booted.clone_from(&self.booted);
        if self.stage {
            let finalization = Finalization::AtShutdown;
            staged::stage(&self.locked, &request, finalization, self.terminal)?;
            return Ok(());
        }
        let deployed = self.locked.deploy_with_report(&self.terminal.context, &request)?;
        report::deployed(&deployed, self.terminal)
    }
}

/// What was fetched before may be older than what runs.
fn refuse_older(repo: &Repo, current: Checksum, new: Checksum) -> Result {
    let time = |commit: &Checksum| -> Result<u64> { Ok(repo.load_commit(commit)?.0.timestamp) };
    let (current_time, new_time) = (time(&current)?, time(&new)?);
    if new_time < current_time {
        return Err(pull::Error::Older { new, new_time, current, current_time }.into());
    }
    Ok(())
}
