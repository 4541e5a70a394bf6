//! The steps of a plan: idempotent pieces of work with a way back.

use std::collections::BTreeMap;

use updraft_error::Classify as _;
use updraft_task::Context;
use updraft_tuf::Verified;

use crate::{Action, ActionKind, Component, Effect, Health, Host, Image, Installer, StepError};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// The next step can follow.
    Done,
    /// The device has to reboot first. The token tells the step, when it is asked again,
    /// whether that has happened.
    Reboot(String),
}

/// One idempotent piece of work. `token` is what the step's last [`Flow::Reboot`] gave, if it
/// gave one.
pub trait Step {
    /// Whether the work is done already.
    fn check(&mut self, ctx: &Context, token: Option<&str>) -> Result<bool, StepError>;
    /// Does the work.
    fn run(&mut self, ctx: &Context) -> Result<Flow, StepError>;
    /// Fails when the work, though done, did not have its effect.
    fn verify(&mut self, ctx: &Context) -> Result<(), StepError>;
    /// Takes the work back, done or half done or not begun.
    fn undo(&mut self, ctx: &Context, token: Option<&str>) -> Result<Flow, StepError>;
}

/// What the steps of one plan work with.
pub struct Tools<'t, 'a, T> {
    /// The installer of each component.
    pub installers: &'t mut BTreeMap<Component, &'a mut dyn Installer<Target = T>>,
    /// Reboots the device.
    pub host: &'t mut (dyn Host + 'a),
    /// The proofs for images that still have to be fetched or staged.
    pub targets: BTreeMap<Component, (Image, Verified<T>)>,
}

impl<T> std::fmt::Debug for Tools<'_, '_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools")
            .field("components", &self.installers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The step of one action.
pub(crate) struct ActionStep<'s, 't, 'a, T> {
    pub(crate) action: &'s Action,
    pub(crate) tools: &'s mut Tools<'t, 'a, T>,
}

impl<'a, T> ActionStep<'_, '_, 'a, T> {
    /// The installer and, for steps that bring in bytes, the proof.
    #[allow(clippy::type_complexity, reason = "two borrows out of one struct")]
    fn parts(
        &mut self,
    ) -> Result<(&mut (dyn Installer<Target = T> + 'a), Option<&Verified<T>>), StepError> {
        let component = &self.action.component;
        let target = self
            .tools
            .targets
            .get(component)
            .filter(|(image, _)| *image == self.action.image)
            .map(|(_, target)| target);
        let installer = self.tools.installers.get_mut(component).ok_or_else(|| {
            StepError::message(
                updraft_error::Kind::NotFound,
                format!("find an installer for component {component}"),
            )
        })?;
        Ok((&mut **installer, target))
    }

    fn installer(&mut self) -> Result<&mut (dyn Installer<Target = T> + 'a), StepError> {
        Ok(self.parts()?.0)
    }

    /// Whether this step cannot run for want of a proof.
    pub(crate) fn lacks_target(&mut self) -> bool {
        matches!(self.action.kind, ActionKind::Fetch | ActionKind::Stage)
            && matches!(self.parts(), Ok((_, None)))
    }

    fn mismatch(&self, what: &str, found: Option<&Image>) -> StepError {
        let found = found.map_or_else(|| "nothing known".to_owned(), ToString::to_string);
        StepError::message(
            updraft_error::Kind::Conflict,
            format!("{what} {}: found {found}", self.action.image),
        )
    }
}

impl<T> Step for ActionStep<'_, '_, '_, T> {
    fn check(&mut self, ctx: &Context, token: Option<&str>) -> Result<bool, StepError> {
        let image = &self.action.image;
        match self.action.kind {
            ActionKind::Fetch => self.installer()?.is_fetched(ctx, image),
            ActionKind::Stage => {
                let there = self.installer()?.observe(ctx)?;
                Ok(there.staged.contains(image) || there.next.as_ref() == Some(image))
            }
            ActionKind::Activate => {
                Ok(self.installer()?.observe(ctx)?.next.as_ref() == Some(image))
            }
            ActionKind::Reboot => match token {
                Some(token) => self.tools.host.has_rebooted_since(token),
                None => Ok(false),
            },
            ActionKind::CheckHealth if token.is_some() => {
                // After a reboot for another try: is it this image that came up?
                self.verify_running(ctx)?;
                Ok(false)
            }
            // Cheap, and true only for the moment: always done again.
            ActionKind::CheckHealth | ActionKind::Confirm => Ok(false),
        }
    }

    fn run(&mut self, ctx: &Context) -> Result<Flow, StepError> {
        let image = &self.action.image;
        match self.action.kind {
            ActionKind::Fetch | ActionKind::Stage => {
                let stage = self.action.kind == ActionKind::Stage;
                let (installer, target) = self.parts()?;
                let target = target.ok_or_else(|| {
                    StepError::message(updraft_error::Kind::Bug, "find the verified target")
                })?;
                if stage { installer.stage(ctx, target)? } else { installer.fetch(ctx, target)? }
            }
            ActionKind::Activate => self.installer()?.activate(ctx, image)?,
            ActionKind::Reboot => return Ok(Flow::Reboot(self.tools.host.request_reboot(ctx)?)),
            ActionKind::CheckHealth => {
                if self.installer()?.check_health(ctx, image)? == Health::TryAgain {
                    return Ok(Flow::Reboot(self.tools.host.request_reboot(ctx)?));
                }
            }
            ActionKind::Confirm => self.installer()?.confirm(ctx, image)?,
        }
        Ok(Flow::Done)
    }

    fn verify(&mut self, ctx: &Context) -> Result<(), StepError> {
        let image = &self.action.image;
        let there = match self.action.kind {
            // The boot loader may have fallen back by itself.
            ActionKind::Reboot | ActionKind::CheckHealth | ActionKind::Confirm => {
                return self.verify_running(ctx);
            }
            ActionKind::Fetch => {
                return if self.installer()?.is_fetched(ctx, image)? {
                    Ok(())
                } else {
                    Err(self.mismatch("find all of", None))
                };
            }
            _ => self.installer()?.observe(ctx)?,
        };
        match self.action.kind {
            ActionKind::Stage
                if !there.staged.contains(image) && there.next.as_ref() != Some(image) =>
            {
                Err(self.mismatch("find staged", None))
            }
            ActionKind::Activate if there.next.as_ref() != Some(image) => {
                Err(self.mismatch("find as next", there.next.as_ref()))
            }
            _ => Ok(()),
        }
    }

    fn undo(&mut self, ctx: &Context, token: Option<&str>) -> Result<Flow, StepError> {
        let image = &self.action.image;
        let previous = self.action.previous.as_ref();
        match self.action.kind {
            ActionKind::Fetch => self.installer()?.discard(ctx, image)?,
            ActionKind::Stage => {
                let there = self.installer()?.observe(ctx)?;
                let in_use =
                    there.next.as_ref() == Some(image) || there.running.as_ref() == Some(image);
                if !in_use {
                    self.installer()?.unstage(ctx, image)?;
                }
            }
            ActionKind::Activate => return self.undo_activate(ctx, token),
            // A plan without activation found the image as the next one already. Where there is
            // something to return to, return to it as if this transaction had activated it.
            ActionKind::Reboot => {
                if self.installer()?.observe(ctx)?.next.as_ref() == Some(image)
                    && previous.is_some()
                {
                    return self.undo_activate(ctx, token);
                }
            }
            ActionKind::CheckHealth | ActionKind::Confirm => {}
        }
        Ok(Flow::Done)
    }
}

impl<T> ActionStep<'_, '_, '_, T> {
    fn verify_running(&mut self, ctx: &Context) -> Result<(), StepError> {
        let image = &self.action.image;
        let running = self.installer()?.observe(ctx)?.running;
        if running.as_ref() == Some(image) {
            return Ok(());
        }
        let mismatch = self.mismatch("find running", running.as_ref());
        Err(match self.installer()?.why_not_running(ctx, image) {
            Some(why) => StepError::message(mismatch.kind(), format!("{mismatch}; {why}")),
            None => mismatch,
        })
    }

    /// Whether a reboot that this step asked for has come, and the step has to be done again.
    pub(crate) fn begins_anew(&mut self, token: &str) -> Result<bool, StepError> {
        Ok(self.action.kind == ActionKind::CheckHealth
            && self.tools.host.has_rebooted_since(token)?)
    }

    /// Makes the old image the next one.
    pub(crate) fn switch_back(&mut self, ctx: &Context) -> Result<(), StepError> {
        let image = &self.action.image;
        let previous = self.action.previous.as_ref();
        if self.installer()?.observe(ctx)?.next.as_ref() == Some(image) {
            self.installer()?.deactivate(ctx, image, previous)?;
        }
        Ok(())
    }

    /// Switches back and, if the new image runs, reboots the device.
    fn undo_activate(&mut self, ctx: &Context, token: Option<&str>) -> Result<Flow, StepError> {
        self.switch_back(ctx)?;
        let image = &self.action.image;
        let there = self.installer()?.observe(ctx)?;
        let still_runs = self.installer()?.effect() == Effect::AfterReboot
            && there.running.as_ref() == Some(image)
            && there.next.as_ref() != Some(image);
        if !still_runs {
            return Ok(Flow::Done);
        }
        let Some(token) = token else {
            return Ok(Flow::Reboot(self.tools.host.request_reboot(ctx)?));
        };
        if self.tools.host.has_rebooted_since(token)? {
            // Rebooting again and again would not make the boot loader read its entries.
            return Err(StepError::message(
                updraft_error::Kind::Conflict,
                format!("leave {image}: it runs after the reboot although another one is next"),
            ));
        }
        Ok(Flow::Reboot(token.to_owned()))
    }
}
