//! The installer of the primary ECU: the one that `pacman.type` names.
//!
//! | `pacman.type` | installer | targets |
//! | --- | --- | --- |
//! | `ostree` | [`OstreeInstaller`] | commits, deployed and booted |
//! | `slots` | [`SlotsInstaller`] | payloads, applied to the slot that does not run |
//! | `none` | [`FileInstaller`] | files, kept in `pacman.images_path` |

mod ciphertext;
mod file;
mod images;
mod slots;
mod space;
mod transfer;

use updraft_sysroot::Sysroot;
use updraft_task::Context;
use updraft_tuf::{TargetFormat, UptaneTarget, Verified};
use updraft_update::{Effect, Health, Image, Installer, Observation, StepError};

pub(crate) use ciphertext::{Source as ImageSource, cannot_open};
use file::FileInstaller;
pub(crate) use file::digest_of;
pub(crate) use images::Images;
use slots::SlotsInstaller;
pub(crate) use space::check as check_space;
pub(crate) use transfer::failed as transfer_failed;

use crate::boot::Boot;
use crate::config::Pacman;
use crate::medium::Medium;
use crate::ostree::{self, OstreeInstaller};
use crate::session::Session;
use crate::{Error, Result};

/// The installer of the primary ECU.
#[derive(Debug)]
pub(crate) enum Primary<'a> {
    /// Deployments in a sysroot.
    Ostree(OstreeInstaller<'a>),
    /// Payloads for slots.
    Slots(Box<SlotsInstaller<'a>>),
    /// Files in a folder.
    File(FileInstaller<'a>),
}

impl<'a> Primary<'a> {
    /// The installer that the settings name; `sysroot` is what [`open_sysroot`] gave.
    pub(crate) fn new(
        ctx: &Context,
        session: &'a Session,
        sysroot: Option<&'a Sysroot>,
        boot: &Boot,
    ) -> Result<Self> {
        Ok(match sysroot {
            Some(sysroot) => Self::Ostree(OstreeInstaller::new(ctx, session, sysroot, boot)?),
            None if session.settings.pacman.is_slots() => {
                Self::Slots(Box::new(SlotsInstaller::new(session, boot)?))
            }
            None => Self::File(FileInstaller::new(session, boot)?),
        })
    }

    /// Where bytes come from: a medium, or else the server.
    pub(crate) fn take_from(&mut self, medium: Option<&'a Medium>) {
        match self {
            Self::Ostree(installer) => installer.medium = medium,
            Self::Slots(installer) => installer.medium = medium,
            Self::File(installer) => installer.medium = medium,
        }
    }

    /// Whether the boot loader still counts the tries of what runs.
    pub(crate) fn is_on_trial(&self) -> Result<bool> {
        match self {
            Self::Ostree(installer) => installer.is_on_trial(),
            Self::Slots(installer) => installer.is_on_trial(),
            Self::File(_) => Ok(false),
        }
    }

    /// Whether a reboot would start what runs.
    pub(crate) fn runs_what_is_next(&mut self, ctx: &Context) -> Result<bool> {
        if let Self::Slots(installer) = self {
            // Also where nobody knows what a slot holds.
            return installer.runs_what_is_next();
        }
        let looking = "look at what is deployed";
        let there = self.observe(ctx).map_err(Error::below(looking))?;
        Ok(there.running.is_some() && there.running == there.next)
    }

    /// Judges a system that runs on trial without an update of ours.
    pub(crate) fn settle_trial(&self, ctx: &Context) -> Result<()> {
        match self {
            Self::Ostree(installer) => installer.settle_trial(ctx),
            Self::Slots(installer) => installer.settle_trial(ctx),
            Self::File(_) => Ok(()),
        }
    }

    fn inner(&mut self) -> &mut dyn Installer<Target = UptaneTarget> {
        match self {
            Self::Ostree(installer) => installer,
            Self::Slots(installer) => &mut **installer,
            Self::File(installer) => installer,
        }
    }
}

impl Installer for Primary<'_> {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        match self {
            Self::Ostree(installer) => installer.effect(),
            Self::Slots(installer) => installer.effect(),
            Self::File(installer) => installer.effect(),
        }
    }

    fn observe(&mut self, ctx: &Context) -> Result<Observation, StepError> {
        self.inner().observe(ctx)
    }

    fn is_fetched(&mut self, ctx: &Context, image: &Image) -> Result<bool, StepError> {
        self.inner().is_fetched(ctx, image)
    }

    fn fetch(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.inner().fetch(ctx, target)
    }

    fn discard(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.inner().discard(ctx, image)
    }

    fn stage(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.inner().stage(ctx, target)
    }

    fn unstage(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.inner().unstage(ctx, image)
    }

    fn activate(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.inner().activate(ctx, image)
    }

    fn deactivate(
        &mut self,
        ctx: &Context,
        image: &Image,
        back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        self.inner().deactivate(ctx, image, back_to)
    }

    fn check_health(&mut self, ctx: &Context, image: &Image) -> Result<Health, StepError> {
        self.inner().check_health(ctx, image)
    }

    fn why_not_running(&mut self, ctx: &Context, image: &Image) -> Option<String> {
        self.inner().why_not_running(ctx, image)
    }

    fn confirm(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.inner().confirm(ctx, image)
    }
}

/// What sort of target the primary's installer takes.
pub(crate) fn format(pacman: &Pacman) -> TargetFormat {
    if pacman.is_ostree() { TargetFormat::Ostree } else { TargetFormat::Binary }
}

/// The sysroot that the primary's installer works on. `None`: it needs none.
pub(crate) fn open_sysroot(pacman: &Pacman) -> Result<Option<Sysroot>> {
    if pacman.is_ostree() { ostree::open(pacman).map(Some) } else { Ok(None) }
}
