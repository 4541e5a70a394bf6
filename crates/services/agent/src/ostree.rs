//! The installer: OSTree deployments in a sysroot.

use updraft_error::Kind;
use updraft_ostree::{Checksum, RefName, Refspec};
use updraft_repo::pull::{PullOptions, Source, pull};
use updraft_sysroot::{
    BootCounting, DeployRequest, Deployment, DeploymentId, InitEpoch, Origin, Sysroot,
};
use updraft_task::Context;
use updraft_tuf::{UptaneTarget, Verified};
use updraft_update::{Effect, Health, Image, Installer, Observation, StepError};

use crate::boot::{Boot, fallback};
use crate::bootloader::{self, News};
use crate::config::Pacman;
use crate::events::{self, EventKind};
use crate::health::{self, Verdict};
use crate::installer::{check_space, transfer_failed};
use crate::medium::Medium;
use crate::session::Session;
use crate::store::Milestone;
use crate::{Error, Result};

/// Keeps what was fetched from being pruned until it is deployed.
const FETCHED_REF: &str = "updraft/fetched";

/// The name of what runs when nobody gave it one.
pub(crate) const UNKNOWN: &str = "unknown";

/// Deployments of one stateroot.
#[derive(Debug)]
pub(crate) struct OstreeInstaller<'a> {
    session: &'a Session,
    sysroot: &'a Sysroot,
    stateroot: String,
    booted: Option<DeploymentId>,
    /// What ran before, and had an agent; as [`Boot::before`].
    before: Option<DeploymentId>,
    /// Where commits come from, if not from the server.
    pub(crate) medium: Option<&'a Medium>,
}

impl<'a> OstreeInstaller<'a> {
    /// The installer for the stateroot that the settings, what is booted or what there is names.
    pub(crate) fn new(
        ctx: &Context,
        session: &'a Session,
        sysroot: &'a Sysroot,
        boot: &Boot,
    ) -> Result<Self> {
        let Boot { booted, before, .. } = boot.clone();
        let pacman = &session.settings.pacman;
        let stateroot = stateroot(pacman, sysroot, booted.as_ref())?;
        let looking = "look for the stateroot";
        let locked = sysroot.lock(ctx).map_err(Error::below("lock the sysroot"))?;
        if !locked.has_stateroot(&stateroot).map_err(Error::below(looking))? {
            if !pacman.create_sysroot {
                let problem = format!("it has no stateroot {stateroot}");
                return Err(Error::Sysroot { path: sysroot.path().to_owned(), problem });
            }
            locked.init_stateroot(&stateroot).map_err(Error::below("make the stateroot"))?;
        }
        drop(locked);
        Ok(Self { session, sysroot, stateroot, booted, before, medium: None })
    }

    fn image(&self, id: &DeploymentId) -> Result<Image, StepError> {
        let digest = id.checksum.to_hex();
        let store = &self.session.store;
        let update = store.update().map_err(StepError::new)?;
        let name = match update.filter(|update| update.sha256 == digest) {
            Some(update) => Some(update.filepath),
            None => store.name_of(&digest).map_err(StepError::new)?,
        };
        Ok(Image {
            name: name.unwrap_or_else(|| UNKNOWN.to_owned()),
            digest: digest.parse().map_err(StepError::new)?,
        })
    }

    fn deployments(&self) -> Result<Vec<Deployment>, StepError> {
        self.sysroot.deployments().map_err(StepError::new)
    }

    /// The deployments of an image in this stateroot, in the boot loader's order.
    fn deployments_of(&self, image: &Image) -> Result<Vec<DeploymentId>, StepError> {
        let commit = commit_of(image)?;
        Ok(self
            .deployments()?
            .into_iter()
            .map(|deployment| deployment.id)
            .filter(|id| id.checksum == commit && id.stateroot == self.stateroot)
            .collect())
    }

    /// Tells the server, once for each update, how far it has come.
    fn reach(&self, milestone: Milestone, kind: EventKind) -> Result<(), StepError> {
        events::reach(self.session, milestone, kind).map_err(StepError::new)
    }

    fn pin_fetched(&self, commit: Option<&Checksum>) -> Result<(), StepError> {
        let name = RefName::new(FETCHED_REF.to_owned())
            .map_err(|error| StepError::message(Kind::Bug, error.to_string()))?;
        self.sysroot.repo().set_ref(&Refspec::local(name), commit).map_err(StepError::new)
    }
}

impl Installer for OstreeInstaller<'_> {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        Effect::AfterReboot
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Observation, StepError> {
        let running = self.booted.as_ref().map(|id| self.image(id)).transpose()?;
        let deployments = self.deployments()?;
        let mut images = Vec::new();
        for deployment in &deployments {
            images.push(self.image(&deployment.id)?);
        }
        let mut images = images.into_iter();
        Ok(Observation { running, next: images.next(), staged: images.collect() })
    }

    fn is_fetched(&mut self, _ctx: &Context, image: &Image) -> Result<bool, StepError> {
        let commit = commit_of(image)?;
        let repo = self.sysroot.repo();
        let name = updraft_ostree::ObjectName {
            checksum: commit,
            object_type: updraft_ostree::ObjectType::Commit,
        };
        if !repo.has_object(&name).map_err(StepError::new)? {
            return Ok(false);
        }
        Ok(!repo.commit_state(&commit).map_err(StepError::new)?.is_partial())
    }

    fn fetch(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        let commit = commit_of_target(target)?;
        let source = match self.medium {
            Some(medium) => medium.commits()?,
            None => Source::Http {
                client: self.session.gateway.client.clone(),
                url: self.session.gateway.addresses.treehub.clone(),
            },
        };
        self.pull_commit(ctx, &source, commit)?;
        self.reach(Milestone::Downloaded, EventKind::DownloadCompleted { success: true })
    }

    fn discard(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // Objects may stay: the next attempt needs not fetch them again, and the next deployment
        // prunes what nobody needs.
        self.pin_fetched(None)
    }

    fn stage(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.reach(Milestone::Started, EventKind::InstallationStarted)?;
        self.stage_commit(ctx, commit_of_target(target)?)
    }

    fn unstage(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        for id in self.deployments_of(image)? {
            let locked = self.sysroot.lock(ctx).map_err(StepError::new)?;
            locked.undeploy(ctx, &id, self.booted.as_ref()).map_err(StepError::new)?;
        }
        Ok(())
    }

    fn activate(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        let id = self.deployments_of(image)?.into_iter().next().ok_or_else(|| missing(image))?;
        let locked = self.sysroot.lock(ctx).map_err(StepError::new)?;
        locked.make_default(ctx, &id).map_err(StepError::new)?;
        drop(locked);
        bootloader::tell(ctx, &self.session.settings, News::Trial).map_err(StepError::new)
    }

    fn deactivate(
        &mut self,
        ctx: &Context,
        _image: &Image,
        back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        // Without a deployment before this one there is nothing to return to.
        let Some(back_to) = back_to else { return Ok(()) };
        self.activate(ctx, back_to)
    }

    fn check_health(&mut self, ctx: &Context, _image: &Image) -> Result<Health, StepError> {
        let verdict = health::judge(ctx, self.session).map_err(StepError::new)?;
        let Err(error) = verdict else { return Ok(Health::Good) };
        if self.may_try_again().map_err(StepError::new)? {
            tracing::warn!(%error, "not healthy; it is tried again after a reboot");
            return Ok(Health::TryAgain);
        }
        // From here on the boot loader passes by it, wherever the power is cut. That the check
        // failed is worth more than that this could not be noted.
        if let Err(error) = self.mark_bad(ctx) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the boot loader is not told that the system is bad");
        }
        Err(StepError::new(error))
    }

    fn why_not_running(&mut self, _ctx: &Context, image: &Image) -> Option<String> {
        let deployments = self.deployments_of(image).ok()?;
        let settings = &self.session.settings.boot;
        Some(fallback::reason(settings, self.sysroot, &deployments, self.before.as_ref()))
    }

    fn confirm(&mut self, ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // The deployment is the default already; the state says that it is confirmed.
        self.mark_good(ctx).map_err(StepError::new)
    }
}

/// The work itself, for all whose targets name commits.
impl OstreeInstaller<'_> {
    /// Brings a commit here, and keeps it.
    pub(crate) fn pull_commit(
        &self,
        ctx: &Context,
        source: &Source,
        commit: Checksum,
    ) -> Result<(), StepError> {
        let watermark = self.session.settings.pacman.storage_watermark;
        check_space(self.sysroot.repo().root(), 0, watermark)?;
        // Asked for by its checksum, every object is hashed before it gets its name: what is
        // here afterwards is the target or nothing.
        let options = PullOptions { commits: vec![commit], ..PullOptions::default() };
        pull(ctx, self.sysroot.repo(), source, &options).map_err(transfer_failed)?;
        self.pin_fetched(Some(&commit))
    }

    /// Deploys a commit beside what runs.
    pub(crate) fn stage_commit(&self, ctx: &Context, commit: Checksum) -> Result<(), StepError> {
        let origin = Origin::following(&commit.to_hex());
        let request = DeployRequest {
            booted: self.booted.clone(),
            ..DeployRequest::new(&self.stateroot, commit, origin)
        };
        let locked = self.sysroot.lock(ctx).map_err(StepError::new)?;
        locked.stage(ctx, &request).map_err(StepError::new)?;
        drop(locked);
        self.pin_fetched(None)
    }

    /// The folder of an image's deployment below the sysroot.
    pub(crate) fn deployment_path(&self, image: &Image) -> Result<std::path::PathBuf, StepError> {
        let id = self.deployments_of(image)?.into_iter().next().ok_or_else(|| missing(image))?;
        Ok(self.sysroot.path().join(id.path()))
    }
}

/// Judging what runs.
impl OstreeInstaller<'_> {
    /// Whether the boot loader counts, and will boot it again. It must have counted this boot: one
    /// that does not would boot an ill system for ever.
    fn may_try_again(&self) -> Result<bool> {
        let Some(id) = &self.booted else { return Ok(false) };
        let counting = "read the boot loader's counter";
        let by = self.sysroot.boot_counting().map_err(Error::below(counting))?;
        let all = self.sysroot.boot_counting_tries();
        let count = self.sysroot.boot_count(id).map_err(Error::below(counting))?;
        Ok(by != BootCounting::Nobody
            && count.is_some_and(|it| it.left > 0 && (it.done > 0 || it.left < all)))
    }

    fn mark_bad(&self, ctx: &Context) -> Result<()> {
        let Some(id) = &self.booted else { return Ok(()) };
        let locked = self.sysroot.lock(ctx).map_err(Error::below("lock the sysroot"))?;
        let marked = locked.mark_bad(id);
        marked.map_err(Error::below("tell the boot loader that the system is bad"))?;
        Ok(())
    }

    fn mark_good(&self, ctx: &Context) -> Result<()> {
        let Some(id) = &self.booted else { return Ok(()) };
        let locked = self.sysroot.lock(ctx).map_err(Error::below("lock the sysroot"))?;
        locked
            .mark_good(id)
            .map_err(Error::below("tell the boot loader that the system is good"))?;
        drop(locked);
        bootloader::tell(ctx, &self.session.settings, News::Good)?;
        health::announce(ctx, &self.session.settings.health, Verdict::Green)
    }

    /// Whether the boot loader still counts the tries of what runs.
    pub(crate) fn is_on_trial(&self) -> Result<bool> {
        let Some(id) = &self.booted else { return Ok(false) };
        let list = self.sysroot.deployments().map_err(Error::below("list the deployments"))?;
        if !list.iter().any(|one| one.id == *id) {
            return Ok(false);
        }
        let count = self.sysroot.boot_count(id);
        Ok(count.map_err(Error::below("read the boot loader's counter"))?.is_some())
    }

    /// Judges a system that runs on trial without an update of ours: somebody deployed it by
    /// hand, or set a counter and no more. An ill one is left to the boot loader.
    pub(crate) fn settle_trial(&self, ctx: &Context) -> Result<()> {
        if !self.is_on_trial()? {
            // A boot loader that counts every boot hears that this one went well.
            return bootloader::tell(ctx, &self.session.settings, News::Good);
        }
        match health::judge(ctx, self.session)? {
            Ok(()) => self.mark_good(ctx),
            Err(error) => {
                tracing::error!(%error, "what runs is on trial and not healthy");
                Ok(())
            }
        }
    }
}

/// Opens the sysroot, or makes it where the settings say so.
pub(crate) fn open(pacman: &Pacman) -> Result<Sysroot> {
    let path = path(pacman);
    if pacman.create_sysroot {
        return Sysroot::init(path, InitEpoch::Modern)
            .map_err(Error::below(format!("make the sysroot {}", path.display())));
    }
    if !path.join("ostree/repo").is_dir() {
        let problem = "it has no ostree/repo".to_owned();
        return Err(Error::Sysroot { path: path.to_owned(), problem });
    }
    Sysroot::open(path).map_err(Error::below(format!("open the sysroot {}", path.display())))
}

/// Makes the sysroot writable for this agent and what it starts, where it is mounted read-only. It
/// has to be done before anything is opened.
pub(crate) fn make_writable(pacman: &Pacman) -> Result<()> {
    if pacman.is_ostree() && path(pacman) == std::path::Path::new("/") {
        updraft_sysroot::make_running_writable().map_err(Error::below("write to the sysroot"))?;
    }
    Ok(())
}

/// The sysroot's folder.
pub(crate) fn path(pacman: &Pacman) -> &std::path::Path {
    if pacman.sysroot.as_os_str().is_empty() { std::path::Path::new("/") } else { &pacman.sysroot }
}

/// The stateroot that the settings, what is booted or what there is names.
pub(crate) fn stateroot(
    pacman: &Pacman,
    sysroot: &Sysroot,
    booted: Option<&DeploymentId>,
) -> Result<String> {
    if !pacman.os.is_empty() {
        return Ok(pacman.os.clone());
    }
    if let Some(booted) = booted {
        return Ok(booted.stateroot.clone());
    }
    let deployments = sysroot.deployments().map_err(Error::below("list the deployments"))?;
    match deployments.first() {
        Some(deployment) => Ok(deployment.id.stateroot.clone()),
        None => Err(Error::Config {
            place: "pacman.os".to_owned(),
            problem: "nothing is deployed yet that would name the stateroot".to_owned(),
            hint: "write `os = \"NAME\"` into the section `[pacman]`".to_owned(),
        }),
    }
}

pub(crate) fn commit_of(image: &Image) -> Result<Checksum, StepError> {
    image.digest.as_str().parse().map_err(StepError::new)
}

fn commit_of_target(target: &UptaneTarget) -> Result<Checksum, StepError> {
    let sha256 = target.hashes.sha256().ok_or_else(|| {
        StepError::message(Kind::Rejected, format!("find a sha256 of {}", target.filepath))
    })?;
    sha256.parse().map_err(StepError::new)
}

fn missing(image: &Image) -> StepError {
    StepError::message(Kind::NotFound, format!("find a deployment of {image}"))
}
