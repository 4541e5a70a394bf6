//! What is left of a secondary that is configured no longer, while the journal knows it.

use updraft_error::Kind;
use updraft_task::Context;
use updraft_tuf::{UptaneTarget, Verified};
use updraft_update::{Effect, Health, Image, Installer, Observation, StepError};

/// A component that the journal knows and the configuration does no more: nothing can be done with
/// it, and nothing has to be undone.
pub(crate) struct Gone;

impl Gone {
    fn gone<T>(image: &str) -> Result<T, StepError> {
        let problem = format!("install {image}: its secondary is configured no longer");
        Err(StepError::message(Kind::NotFound, problem))
    }
}

impl Installer for Gone {
    type Target = UptaneTarget;

    fn effect(&self) -> Effect {
        Effect::AtOnce
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Observation, StepError> {
        Ok(Observation::default())
    }

    fn is_fetched(&mut self, _ctx: &Context, _image: &Image) -> Result<bool, StepError> {
        Ok(false)
    }

    fn fetch(&mut self, _ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        Self::gone(&target.filepath)
    }

    fn discard(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        Ok(())
    }

    fn stage(&mut self, _ctx: &Context, target: &Verified<UptaneTarget>) -> Result<(), StepError> {
        Self::gone(&target.filepath)
    }

    fn unstage(&mut self, _ctx: &Context, _image: &Image) -> Result<(), StepError> {
        Ok(())
    }

    fn activate(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        Self::gone(&image.name)
    }

    fn deactivate(
        &mut self,
        _ctx: &Context,
        _image: &Image,
        _back_to: Option<&Image>,
    ) -> Result<(), StepError> {
        Ok(())
    }

    fn check_health(&mut self, _ctx: &Context, image: &Image) -> Result<Health, StepError> {
        Self::gone(&image.name)
    }

    fn confirm(&mut self, _ctx: &Context, image: &Image) -> Result<(), StepError> {
        Self::gone(&image.name)
    }
}
