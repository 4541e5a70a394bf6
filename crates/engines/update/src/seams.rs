//! The two seams of the product, [`Source`] and [`Installer`], and the [`Host`] that reboots.

use updraft_task::Context;
use updraft_tuf::Verified;

use crate::{Component, Image, StepError};

/// Answers what the device should run, and proves it.
pub trait Source {
    /// What this source's proofs are about, such as an Uptane target.
    type Target;

    /// Asks once. `None` means that the source has no wish: everything stays as it is.
    fn poll(&mut self, ctx: &Context) -> Result<Option<Assignment<Self::Target>>, StepError>;
}

/// What a source wants the device to run, all of it together.
#[derive(Debug, Clone)]
pub struct Assignment<T> {
    /// Names this wish in reports: in Uptane the correlation id. May be empty.
    pub id: String,
    /// One verified target for each component that is to change.
    pub targets: Vec<(Component, Image, Verified<T>)>,
}

/// When an activated image begins to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// As soon as it is activated.
    AtOnce,
    /// With the next boot of the device.
    AfterReboot,
}

/// What an installer sees of its component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// What runs now. `None` when that is unknown or nothing is installed.
    pub running: Option<Image>,
    /// What runs after the next start.
    pub next: Option<Image>,
    /// Other images that are in place completely and could be activated.
    pub staged: Vec<Image>,
}

/// What a health check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The image does its work.
    Good,
    /// It does not, but somebody counts its tries and some are left: after another boot it is
    /// checked again.
    TryAgain,
}

/// Puts images of one component in place and takes them back.
///
/// Every method may be called again after a crash inside it, and must then come to the same
/// end. Only [`fetch`](Self::fetch) and [`stage`](Self::stage) bring in new bytes, and they take
/// nothing but a [`Verified`] target.
pub trait Installer {
    /// What the proofs are about.
    type Target;

    /// When an activated image begins to run.
    fn effect(&self) -> Effect;

    /// What is there now.
    fn observe(&mut self, ctx: &Context) -> Result<Observation, StepError>;

    /// Whether all bytes of this image are on the device, checked.
    fn is_fetched(&mut self, ctx: &Context, image: &Image) -> Result<bool, StepError>;
    /// Brings all bytes to the device, continuing where an earlier call stopped. Whatever is
    /// stored is verified against the target.
    fn fetch(&mut self, ctx: &Context, target: &Verified<Self::Target>) -> Result<(), StepError>;
    /// Drops the bytes of an image that is not staged. May keep them.
    fn discard(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError>;

    /// Puts the image in place beside what runs, which stays untouched and the default.
    fn stage(&mut self, ctx: &Context, target: &Verified<Self::Target>) -> Result<(), StepError>;
    /// Takes a staged image away. Never called for what runs or is the default.
    fn unstage(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError>;

    /// Makes a staged image the one that runs next. One atomic switch.
    fn activate(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError>;
    /// Makes `back_to` the one that runs next again; `None` when nothing was installed before,
    /// in which case the installer may keep what there is if it cannot run without.
    fn deactivate(
        &mut self,
        ctx: &Context,
        image: &Image,
        back_to: Option<&Image>,
    ) -> Result<(), StepError>;

    /// Fails when the running image does not do its work, and is not to be tried again.
    fn check_health(&mut self, ctx: &Context, image: &Image) -> Result<Health, StepError>;
    /// Why an image that was to run after the reboot does not run, where something is known.
    fn why_not_running(&mut self, _ctx: &Context, _image: &Image) -> Option<String> {
        None
    }
    /// Makes the running image the good one, to which later failures return.
    fn confirm(&mut self, ctx: &Context, image: &Image) -> Result<(), StepError>;
}

/// Reboots the device, or asks somebody to.
pub trait Host {
    /// Asks for a reboot and returns a token of the current boot. The request must be visible
    /// before the token is returned. Called again, it asks again.
    fn request_reboot(&mut self, ctx: &Context) -> Result<String, StepError>;
    /// Whether the device has rebooted since this token was returned.
    fn has_rebooted_since(&mut self, token: &str) -> Result<bool, StepError>;
}
