//! The installer of `pacman.type = "slots"`: a target is a payload, applied to the slot that does not
//! run.
//!
//! The payload is read as it is applied, and kept nowhere: to fetch it is to write the slot, which is not
//! started before it is activated. What is read is held against the target's signed description before the
//! first write. Where a delta fits what runs, it is read in the payload's place.

mod payload;

use updraft_slots::boot_control::Slot;
use updraft_slots::{Engine, Error as SlotsError, ErrorCode, Overview, SlotImage};
use updraft_task::Context;
use updraft_tuf::{UptaneTarget, Verified};
use updraft_update::{Effect, Health, Image, Installer, Observation, StepError};

use self::payload::Payload;
use super::digest_of;
use crate::boot::Boot;
use crate::events::{self, EventKind};
use crate::health;
use crate::health::Verdict;
use crate::medium::Medium;
use crate::session::Session;
use crate::slots;
use crate::store::Milestone;
use crate::{Error, Result};

/// Two slots.
pub(crate) struct SlotsInstaller<'a> {
    session: &'a Session,
    engine: Engine,
    /// Where payloads come from, if not from the server.
    pub(super) medium: Option<&'a Medium>,
}

impl std::fmt::Debug for SlotsInstaller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotsInstaller").finish_non_exhaustive()
    }
}

impl<'a> SlotsInstaller<'a> {
    /// The installer for the slots that the settings name.
    pub(super) fn new(session: &'a Session, boot: &Boot) -> Result<Self> {
        let engine = slots::open(&session.settings, &boot.session)?;
        Ok(Self { session, engine, medium: None })
    }

    fn overview(&self) -> Result<Overview, StepError> {
        slots::overview(&self.engine).map_err(StepError::new)
    }

    fn slot_with(&self, image: &Image) -> Result<Option<Slot>, StepError> {
        self.engine.slot_with(&named(image)).map_err(failed)
    }

    fn reach(&self, milestone: Milestone, kind: EventKind) -> Result<(), StepError> {
        events::reach(self.session, milestone, kind).map_err(StepError::new)
    }

    /// Whether what runs has not been found well yet.
    pub(super) fn is_on_trial(&self) -> Result<bool> {
        if self.engine.running_slot().is_none() {
            return Ok(false);
        }
        self.engine.is_on_trial().map_err(Error::below("look at the slots"))
    }

    /// Whether a reboot would start the slot that runs.
    pub(super) fn runs_what_is_next(&self) -> Result<bool> {
        let overview = slots::overview(&self.engine)?;
        Ok(overview.running.is_some() && overview.running == overview.active)
    }

    /// Judges what runs where the boot loader counts it without an update of ours. An ill one is left to
    /// the boot loader.
    pub(super) fn settle_trial(&self, ctx: &Context) -> Result<()> {
        if !self.is_on_trial()? {
            return Ok(());
        }
        if let Err(error) = health::judge(ctx, self.session)? {
            tracing::error!(%error, "the slot that runs is on trial and not healthy");
            return Ok(());
        }
        self.mark_good(ctx)
    }

    fn mark_good(&self, ctx: &Context) -> Result<()> {
        let marking = "tell the boot loader that the slot is good";
        self.engine.mark_successful().map_err(Error::below(marking))?;
        health::announce(ctx, &self.session.settings.health, Verdict::Green)
    }

    /// Whether the boot loader will start it once more. It must have counted this start: one that does
    /// not would start an ill system for ever.
    fn may_try_again(&self) -> Result<bool, StepError> {
        let overview = self.overview()?;
        let running = overview.slots.iter().find(|slot| Some(slot.name) == overview.running);
        let tries = self.engine.config().tries;
        let left =
            running.filter(|slot| slot.successful != Some(true)).and_then(|it| it.tries_left);
        Ok(left.is_some_and(|left| left > 0 && left < tries))
    }

    /// Applies the payload of a target, or a delta in its place.
    fn apply(&self, ctx: &Context, target: &UptaneTarget) -> Result<(), StepError> {
        let image = SlotImage {
            name: target.filepath.clone(),
            sha256: digest_of(target)?.as_str().to_owned(),
        };
        let payload = Payload::of(target)?;
        if let Some(delta) = payload.fitting_delta(ctx, &self.engine).map_err(failed)? {
            match delta.apply(ctx, self.session, &self.engine, self.medium, &image) {
                Err(error) if is_of_delta(&error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, delta = delta.name, "the whole payload is taken instead");
                }
                done => return done.map_err(failed),
            }
        }
        payload.apply(ctx, self.session, &self.engine, self.medium, &image)
    }
}

impl Installer for SlotsInstaller<'_> {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        Effect::AfterReboot
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Observation, StepError> {
        let overview = self.overview()?;
        let image = |slot: Option<char>| -> Result<Option<Image>, StepError> {
            let Some(held) = slots::held(&overview, slot) else { return Ok(None) };
            let digest = held.sha256.parse().map_err(StepError::new)?;
            Ok(Some(Image { name: held.name.clone(), digest }))
        };
        let running = image(overview.running)?;
        let others = overview.slots.iter().filter(|slot| Some(slot.name) != overview.running);
        let staged: Result<_, _> =
            others.filter_map(|slot| image(Some(slot.name)).transpose()).collect();
        Ok(Observation { running, next: image(overview.active)?, staged: staged? })
    }

    fn is_fetched(&mut self, _ctx: &Context, image: &Image) -> Result<bool, StepError> {
        Ok(self.slot_with(image)?.is_some())
    }

    fn fetch(&mut self, ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        self.apply(ctx, target)?;
        self.reach(Milestone::Downloaded, EventKind::DownloadCompleted { success: true })
    }

    fn discard(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        // The next attempt goes on with it.
        Ok(())
    }

    fn stage(&mut self, _ctx: &Context, _target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        // What was fetched is in place.
        Ok(())
    }

    fn unstage(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        match self.slot_with(image)? {
            Some(slot) => self.engine.give_up(slot).map_err(failed),
            None => Ok(()),
        }
    }

    fn activate(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError> {
        self.reach(Milestone::Started, EventKind::InstallationStarted)?;
        self.engine.start_image(ctx, &named(image)).map_err(failed)
    }

    fn deactivate(
        &mut self,
        _ctx: &Context,
        image: &Image,
        _back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        // There are two: what is not left is what ran before, also where it has no name.
        match self.slot_with(image)? {
            Some(slot) => self.engine.leave(slot).map_err(failed),
            None => Ok(()),
        }
    }

    fn check_health(&mut self, ctx: &Context, _image: &Image) -> Result<Health, StepError> {
        let verdict = health::judge(ctx, self.session).map_err(StepError::new)?;
        let Err(error) = verdict else { return Ok(Health::Good) };
        if self.may_try_again()? {
            tracing::warn!(%error, "not healthy; it is tried again after a reboot");
            return Ok(Health::TryAgain);
        }
        Err(StepError::new(error))
    }

    fn why_not_running(&mut self, _ctx: &Context, _image: &Image) -> Option<String> {
        let last = self.overview().ok()?.last?;
        (last.code == ErrorCode::ROLLED_BACK.0).then_some(last.message)
    }

    fn confirm(&mut self, ctx: &Context, _image: &Image) -> Result<(), StepError> {
        self.mark_good(ctx).map_err(StepError::new)
    }
}

fn named(image: &Image) -> SlotImage {
    SlotImage { name: image.name.clone(), sha256: image.digest.as_str().to_owned() }
}

/// An error of the slots as a step's. Somebody else who works on them is done some time.
fn failed(error: SlotsError) -> StepError {
    match error {
        SlotsError::Busy => StepError::message(
            updraft_error::Kind::Unavailable,
            "change the slots: another process does that now",
        ),
        error => StepError::new(error),
    }
}

/// Whether another try with the same delta would be in vain.
fn is_of_delta(error: &SlotsError) -> bool {
    use updraft_error::{Classify as _, Kind};

    let is_passing = matches!(error.kind(), Kind::Unavailable | Kind::Cancelled | Kind::Exhausted);
    !is_passing && !matches!(error, SlotsError::Busy | SlotsError::Refused(_))
}
