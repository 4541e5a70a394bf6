//! One method for each command of aktualizr-lite.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use updraft_fs::flock;
use updraft_task::Context;

use super::install::Manner;
use super::listing::{Listing, listing, reason};
use super::selection::{Candidate, Choice, Wish};
use super::work::Work;
use super::{Halt, LiteSettings, LiteStatus, StatusCode, checkin, current, session, status};
use crate::Error;
use crate::aktualizr;
use crate::boot::Boot;
use crate::clock::Clock;
use crate::ostree;
use crate::store::Store;

/// A folder with everything that an update needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineBundle(PathBuf);

impl OfflineBundle {
    /// The bundle in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Its metadata.
    pub(super) fn metadata(&self) -> PathBuf {
        self.0.join("tuf")
    }

    /// Its OSTree repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.0.join("ostree_repo")
    }
}

/// What is to be pulled or installed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Which target.
    pub wish: Wish,
    /// From where, when not from the server.
    pub bundle: Option<OfflineBundle>,
    /// Who holds a `flock` on this file delays the update.
    pub lock_file: Option<PathBuf>,
    /// Whether the highest version is installed even when it is lower than what runs.
    pub downgrade: bool,
}

/// Which metadata a command goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metadata {
    /// The newest.
    Refreshed,
    /// What is stored.
    Stored,
}

/// A device that follows one TUF repository.
pub struct Lite {
    pub(super) settings: LiteSettings,
    pub(super) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Lite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lite").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Lite {
    /// A device; nothing is opened yet.
    pub fn new(settings: LiteSettings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock }
    }

    /// Brings the metadata up to date and lists the targets for this device.
    pub fn check(&self, ctx: &Context, bundle: Option<&OfflineBundle>) -> Result<Listing, Halt> {
        self.at_work(ctx, |work| {
            let checked = work.check_in(bundle)?;
            let choice = work.choose(&checked, &Wish::Latest)?;
            work.tell_choice(&choice);
            Ok(listing(work.lite, work.session, &work.running, &checked, &choice)?)
        })
    }

    /// Lists the targets of the stored metadata; an update may be at work.
    pub fn list(&self, ctx: &Context, bundle: Option<&OfflineBundle>) -> Result<Listing, Halt> {
        self.to_read(|session, boot| {
            let running = current::running(session, boot)?;
            let checked = checkin::read_stored(ctx, &self.settings, session, bundle)?;
            let choice = checkin::chosen(session, &running, &checked, &Wish::Latest)?;
            Ok(listing(&self.settings, session, &running, &checked, &choice)?)
        })
    }

    /// Brings the metadata up to date, fetches and installs.
    pub fn update(&self, ctx: &Context, request: &Request) -> Result<StatusCode, Halt> {
        self.deliver(ctx, request, Manner::PullAndInstall, Metadata::Refreshed)
    }

    /// Fetches a target of the stored metadata.
    pub fn pull(&self, ctx: &Context, request: &Request) -> Result<StatusCode, Halt> {
        self.deliver(ctx, request, Manner::Pull, Metadata::Stored)
    }

    /// Installs a target that was pulled.
    pub fn install(&self, ctx: &Context, request: &Request) -> Result<StatusCode, Halt> {
        self.deliver(ctx, request, Manner::Install, Metadata::Stored)
    }

    /// After the reboot: confirms what was installed, or takes it back.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method has one lifetime")]
    pub fn finalize(&self, ctx: &Context) -> Result<StatusCode, Halt> {
        self.at_work(ctx, |work| work.finalize())
    }

    /// Back to the target before.
    pub fn roll_back(
        &self,
        ctx: &Context,
        bundle: Option<&OfflineBundle>,
    ) -> Result<StatusCode, Halt> {
        self.at_work(ctx, |work| work.roll_back(bundle))
    }

    /// What is known about this device; an update may be at work.
    pub fn status(&self, ctx: &Context) -> Result<LiteStatus, Halt> {
        self.to_read(|session, boot| Ok(status::status(ctx, &self.settings, session, boot)?))
    }

    /// Lets targets that failed on this device be installed by themselves again.
    pub fn forget_failures(&self) -> Result<(), Halt> {
        Ok(Store::open(&self.settings.agent.storage)?.forget_failures()?)
    }

    fn deliver(
        &self,
        ctx: &Context,
        request: &Request,
        manner: Manner,
        metadata: Metadata,
    ) -> Result<StatusCode, Halt> {
        self.at_work(ctx, |work| {
            if work.pending()?.is_some() {
                return Err(Halt::of(StatusCode::InstallationInProgress));
            }
            let bundle = request.bundle.as_ref();
            let checked = match metadata {
                Metadata::Refreshed => work.check_in(bundle)?,
                Metadata::Stored => work.check_in_stored(bundle)?,
            };
            let choice = work.choose(&checked, &request.wish)?;
            if metadata == Metadata::Refreshed {
                work.tell_choice(&choice);
            }
            let Some(candidate) = wanted(choice, request)? else { return Ok(StatusCode::Ok) };
            let _lock = lock(ctx, request.lock_file.as_deref())?;
            let reason = reason(&work.running, &candidate.target);
            work.carry_out(&candidate, &reason, manner)
        })
    }

    /// Opens everything for work; one command at a time.
    pub(super) fn at_work<R>(
        &self,
        ctx: &Context,
        work: impl FnOnce(&mut Work<'_>) -> Result<R, Halt>,
    ) -> Result<R, Halt> {
        let lite = &self.settings;
        let pacman = &lite.agent.pacman;
        ostree::make_writable(pacman)?;
        let store = Store::open(&lite.agent.storage)?;
        let mut session = session::for_work(lite, store, self.clock.clone())?;
        let sysroot = ostree::open(pacman)?;
        let boot = Boot::observe(&session.settings, &session.store, Some(&sysroot))?;
        let running = current::running(&session, &boot)?;
        session::introduce(lite, &mut session, &running)?;
        current::write(&session, &running)?;
        work(&mut Work::new(ctx, lite, &session, &sysroot, boot, running)?)
    }

    fn to_read<R>(
        &self,
        read: impl FnOnce(&crate::session::Session, &Boot) -> Result<R, Halt>,
    ) -> Result<R, Halt> {
        let lite = &self.settings;
        let store = if let Some(store) = Store::open_to_read(&lite.agent.storage)? {
            store
        } else {
            // The first command on a device, which an aktualizr-lite may have kept until now.
            let store = Store::open(&lite.agent.storage)?;
            aktualizr::take_over_lite(&lite.agent, &store, self.clock.now())?;
            store
        };
        let session = session::to_read(lite, store, self.clock.clone())?;
        let sysroot = ostree::open(&lite.agent.pacman)?;
        let boot = Boot::look(&session.settings, &session.store, Some(&sysroot))?;
        read(&session, &boot)
    }
}

impl Work<'_> {
    /// The callback program hears which target there is.
    pub(super) fn tell_choice(&self, choice: &Choice) {
        let about = match choice {
            Choice::Update(candidate) | Choice::Lower(candidate) => Some(&candidate.target),
            Choice::Failing(target) => Some(target),
            Choice::Current => Some(&self.running),
            Choice::NotFound => None,
        };
        let result = match choice {
            Choice::NotFound => "FAILED: no matching target",
            _ => "OK",
        };
        self.tell("check-for-update-post", about, Some(result));
    }
}

/// The target that a request leads to. `None`: nothing is to be done.
fn wanted(choice: Choice, request: &Request) -> Result<Option<Box<Candidate>>, Halt> {
    let is_offline = request.bundle.is_some();
    match choice {
        Choice::Update(candidate) => Ok(Some(candidate)),
        Choice::Lower(candidate) if request.downgrade => Ok(Some(candidate)),
        Choice::Lower(_) if is_offline => Err(Halt::of(StatusCode::InstallDowngradeAttempt)),
        Choice::Lower(candidate) => {
            let name = &candidate.target.name;
            tracing::info!(name, "the highest version is lower than what runs: nothing is done");
            Ok(None)
        }
        Choice::Current => {
            tracing::info!("this device is up to date");
            Ok(None)
        }
        Choice::Failing(target) => {
            tracing::info!(target.name, "the target failed on this device before: it is skipped");
            Ok(None)
        }
        Choice::NotFound => Err(Halt::of(StatusCode::TufTargetNotFound)),
    }
}

/// Waits until nobody holds the file.
pub(super) fn lock(ctx: &Context, path: Option<&Path>) -> Result<Option<std::fs::File>, Halt> {
    let Some(path) = path else { return Ok(None) };
    let locked = flock::wait_exclusive(ctx, path).map_err(|error| Halt::from(Error::from(error)));
    ctx.check()?;
    locked.map(Some)
}
