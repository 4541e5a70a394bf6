//! A secondary that is an OSTree system itself: its image is a commit, which it fetches with what
//! the primary lends it, deploys beside what runs, and boots.
//!
//! ```text
//! download   pull by checksum: whoever gave it, a server or the primary, every object is hashed
//! install    deploy, and make it the default: it runs after a restart
//! complete   after the restart: it is what is booted, or the installation failed
//! revert     before the restart what runs stays the default; after it, the one before is again
//! ```

mod from_primary;

use std::path::{Path, PathBuf};

use updraft_error::{Classify, Kind};
use updraft_fs::{Dir, atomic_write};
use updraft_http::{Client, ClientOptions, Identity};
use updraft_ipuptane::OstreeCredentials;
use updraft_ostree::{Checksum, ObjectName, ObjectType, RefName, Refspec};
use updraft_repo::Repo;
use updraft_repo::pull::{self, PullOptions, Source};
use updraft_secondary::payload::{NewImage, Observed, Payload};
use updraft_secondary::{CommitObjects, Error as EcuError, Installation, Result as EcuResult};
use updraft_sysroot::{DeployRequest, Deployment, DeploymentId, Origin, Sysroot};
use updraft_task::Context;
use updraft_tuf::{Ecu, TargetFormat};
use updraft_update::StepError;

use from_primary::FromPrimary;

use crate::config::Settings;
use crate::gateway::client_options;
use crate::installer::check_space;
use crate::{Error, Result, boot, ostree};

/// Keeps what was fetched from being pruned until it is deployed.
const FETCHED_REF: &str = "updraft/fetched";
/// What was booted, as it was seen first in a boot.
const BOOTED: &str = "booted";
const MAX_BOOTED: u64 = 4096;

/// Commits in a sysroot.
#[derive(Debug)]
pub struct CommitPayload {
    settings: Settings,
    sysroot: Sysroot,
    stateroot: String,
    booted: Option<DeploymentId>,
    hardware_id: String,
}

impl CommitPayload {
    /// Opens the sysroot of `pacman.sysroot`. `folder` is the secondary's: what is booted is kept
    /// there, for a command line tells it only until something is deployed.
    ///
    /// # Errors
    /// [`Error`], when there is no sysroot, or nothing names the stateroot.
    pub fn open(settings: &Settings, folder: &Path, ecu: &Ecu) -> Result<Self> {
        ostree::make_writable(&settings.pacman)?;
        let sysroot = ostree::open(&settings.pacman)?;
        let booted = booted(settings, folder, &sysroot)?;
        let stateroot = ostree::stateroot(&settings.pacman, &sysroot, booted.as_ref())?;
        let context = Context::silent();
        let locked = sysroot.lock(&context).map_err(Error::below("lock the sysroot"))?;
        let is_there = locked.has_stateroot(&stateroot);
        if !is_there.map_err(Error::below("look for the stateroot"))? {
            locked.init_stateroot(&stateroot).map_err(Error::below("make the stateroot"))?;
        }
        drop(locked);
        let hardware_id = ecu.hardware_id.clone();
        Ok(Self { settings: settings.clone(), sysroot, stateroot, booted, hardware_id })
    }

    fn pin(&self, commit: Option<&Checksum>) -> EcuResult<()> {
        let action = "keep the commit";
        let name = RefName::new(FETCHED_REF.to_owned()).map_err(failed(action))?;
        self.sysroot.repo().set_ref(&Refspec::local(name), commit).map_err(failed(action))
    }

    /// Pulls the commit, and keeps it until it is deployed.
    fn fetch(
        &self,
        commit: &Checksum,
        pull: impl FnOnce(&Repo, &PullOptions) -> Result<(), pull::Error>,
    ) -> EcuResult<()> {
        let action = "fetch the commit";
        let repo = self.sysroot.repo();
        let watermark = self.settings.pacman.storage_watermark;
        check_space(repo.root(), 0, watermark).map_err(of_step(action))?;
        let options = PullOptions { commits: vec![*commit], ..PullOptions::default() };
        pull(repo, &options).map_err(failed(action))?;
        self.pin(Some(commit))
    }

    fn deployments(&self) -> EcuResult<Vec<Deployment>> {
        let mut list = self.sysroot.deployments().map_err(failed("list the deployments"))?;
        list.retain(|deployment| deployment.id.stateroot == self.stateroot);
        Ok(list)
    }
}

impl Payload for CommitPayload {
    fn format(&self) -> TargetFormat {
        TargetFormat::Ostree
    }

    fn download(&mut self, ctx: &Context, sha256: &str, from: &OstreeCredentials) -> EcuResult<()> {
        let action = "fetch the commit";
        let commit: Checksum = sha256.parse().map_err(failed(action))?;
        let some = |pem: &Vec<u8>| (!pem.is_empty()).then(|| pem.clone());
        let client = Client::new(&ClientOptions {
            ca_pem: some(&from.ca_pem),
            identity: some(&from.private_key_pem).map(|private_key_pem| Identity {
                certificate_pem: from.certificate_pem.clone(),
                private_key_pem,
            }),
            ..client_options(&self.settings)
        });
        let client = client.map_err(failed(action))?;
        let source = Source::Http { client, url: from.server.trim_end_matches('/').to_owned() };
        self.fetch(&commit, |repo, options| pull::pull(ctx, repo, &source, options).map(drop))
    }

    fn take_commit(
        &mut self,
        ctx: &Context,
        sha256: &str,
        from: &dyn CommitObjects,
    ) -> EcuResult<()> {
        let commit: Checksum = sha256.parse().map_err(failed("fetch the commit"))?;
        let giver = FromPrimary::new(from);
        let taken = self
            .fetch(&commit, |repo, options| pull::pull_given(ctx, repo, &giver, options).map(drop));
        // An interruption comes as what the connection makes of it.
        ctx.check()?;
        taken
    }

    fn has(&mut self, sha256: &str) -> EcuResult<bool> {
        let action = "look for the commit";
        let commit: Checksum = sha256.parse().map_err(failed(action))?;
        let repo = self.sysroot.repo();
        let name = ObjectName { checksum: commit, object_type: ObjectType::Commit };
        if !repo.has_object(&name).map_err(failed(action))? {
            return Ok(false);
        }
        Ok(!repo.commit_state(&commit).map_err(failed(action))?.is_partial())
    }

    fn observe(&mut self, _ctx: &Context) -> EcuResult<Option<Observed>> {
        Ok(self.booted.as_ref().map(|booted| {
            let sha256 = booted.checksum.to_hex();
            // As aktualizr calls what nobody named.
            let name = Some(format!("{}-{sha256}", self.hardware_id));
            Observed { name, sha256, length: 0 }
        }))
    }

    fn install(&mut self, ctx: &Context, image: NewImage<'_>) -> EcuResult<Installation> {
        let action = "deploy the commit";
        let commit: Checksum = image.sha256.parse().map_err(failed(action))?;
        if self.booted.as_ref().is_some_and(|booted| booted.checksum == commit) {
            self.keep_what_runs(ctx)?;
            return Ok(Installation::Done);
        }
        let there = self.deployments()?.into_iter().find(|it| it.id.checksum == commit);
        let locked = self.sysroot.lock(ctx).map_err(failed(action))?;
        let id = if let Some(deployment) = there {
            deployment.id
        } else {
            let origin = Origin::following(&commit.to_hex());
            let request = DeployRequest {
                booted: self.booted.clone(),
                ..DeployRequest::new(&self.stateroot, commit, origin)
            };
            locked.stage(ctx, &request).map_err(failed(action))?.id
        };
        // Commit point of the installation: the switch of the default.
        locked.make_default(ctx, &id).map_err(failed(action))?;
        drop(locked);
        self.pin(None)?;
        Ok(Installation::NeedsRestart)
    }

    fn complete(&mut self, ctx: &Context, image: NewImage<'_>) -> EcuResult<Installation> {
        let booted = self.booted.as_ref();
        let Some(booted) = booted.filter(|it| it.checksum.to_hex() == image.sha256) else {
            let runs = booted.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            return Err(EcuError::Payload {
                action: "boot the commit",
                problem: format!("{runs} is booted, and not {}", image.sha256),
                kind: Kind::Conflict,
            });
        };
        // It came up, and serves: the boot loader need not count any more.
        let locked = self.sysroot.lock(ctx).map_err(failed("lock the sysroot"))?;
        locked.mark_good(booted).map_err(failed("tell the boot loader that it is good"))?;
        Ok(Installation::Done)
    }

    fn revert(&mut self, ctx: &Context, previous: Option<NewImage<'_>>) -> EcuResult<Installation> {
        let action = "go back";
        let list = self.deployments()?;
        let is_next = |id: &DeploymentId| list.first().is_some_and(|next| next.id == *id);
        if self.booted.as_ref().is_some_and(|booted| !is_next(booted)) {
            self.keep_what_runs(ctx)?;
            return Ok(Installation::Done);
        }
        let before = list.iter().find(|deployment| match &previous {
            Some(image) => deployment.id.checksum.to_hex() == image.sha256,
            None => self.booted.as_ref() != Some(&deployment.id),
        });
        let before = before.ok_or_else(|| EcuError::Payload {
            action,
            problem: "what ran before is not deployed any more".to_owned(),
            kind: Kind::NotFound,
        })?;
        let locked = self.sysroot.lock(ctx).map_err(failed(action))?;
        locked.make_default(ctx, &before.id).map_err(failed(action))?;
        Ok(Installation::NeedsRestart)
    }
}

impl CommitPayload {
    /// What runs is the default again; what was to follow it goes.
    fn keep_what_runs(&self, ctx: &Context) -> EcuResult<()> {
        let action = "keep what runs";
        let Some(booted) = &self.booted else { return Ok(()) };
        let next = self.deployments()?.into_iter().next();
        let Some(next) = next.filter(|next| next.id != *booted) else { return Ok(()) };
        let locked = self.sysroot.lock(ctx).map_err(failed(action))?;
        locked.make_default(ctx, booted).map_err(failed(action))?;
        locked.undeploy(ctx, &next.id, Some(booted)).map_err(failed(action))?;
        Ok(())
    }
}

/// What is booted, looked for once in each boot.
fn booted(settings: &Settings, folder: &Path, sysroot: &Sysroot) -> Result<Option<DeploymentId>> {
    let path: &PathBuf = &settings.boot.kernel_cmdline;
    let session = boot::session(path)?;
    let dir = Dir::create_all(folder, 0o700)?;
    let known = dir.try_read(BOOTED, MAX_BOOTED)?;
    let known = known.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    if let Some((seen, booted)) = known.split_once('\n')
        && seen == session
    {
        let damaged = |_| Error::Damaged { what: "the booted deployment" };
        return (!booted.is_empty()).then(|| booted.parse().map_err(damaged)).transpose();
    }
    let booted = boot::booted(path, sysroot)?;
    let name = booted.as_ref().map(ToString::to_string).unwrap_or_default();
    atomic_write(&dir, BOOTED, format!("{session}\n{name}").as_bytes(), 0o600)?;
    Ok(booted)
}

fn failed<E: Classify + std::error::Error>(action: &'static str) -> impl FnOnce(E) -> EcuError {
    move |error| {
        let mut problem = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            problem.push_str(": ");
            problem.push_str(&source.to_string());
            cause = source.source();
        }
        match error.kind() {
            Kind::Cancelled => EcuError::Cancelled(updraft_task::Cancelled),
            kind => EcuError::Payload { action, problem, kind },
        }
    }
}

fn of_step(action: &'static str) -> impl FnOnce(StepError) -> EcuError {
    move |error| EcuError::Payload { action, problem: error.chain(), kind: error.kind() }
}
