//! An image that a command puts in place.
//!
//! The command is run by `/bin/sh -c` with these variables, and may be run again for the same
//! image:
//!
//! ```text
//! UPDRAFT_ACTION   install, complete (after a restart) or revert
//! UPDRAFT_IMAGE    the file
//! UPDRAFT_TARGET   the target's name
//! UPDRAFT_SHA256   its SHA-256
//! ```
//! It ends with 0 when the image runs, and with 21 when it runs after the next start.

use std::time::Duration;

use updraft_error::Kind;
use updraft_process::Command;
use updraft_task::Context;

use super::{NewImage, Observed, Payload};
use crate::{Error, Installation, Result};

/// `NEED_COMPLETION` of aktualizr's result codes.
const NEEDS_RESTART: i32 = 21;

/// What a command installs.
#[derive(Debug)]
pub struct CommandPayload {
    command: String,
    timeout: Duration,
}

impl CommandPayload {
    /// With this command line, which may take so long.
    #[must_use]
    pub fn new(command: impl Into<String>, timeout: Duration) -> Self {
        Self { command: command.into(), timeout }
    }

    fn run(
        &self,
        ctx: &Context,
        action: &'static str,
        image: NewImage<'_>,
    ) -> Result<Installation> {
        let finished = Command::new("/bin/sh")
            .args(["-c", &self.command])
            .env("UPDRAFT_ACTION", action)
            .env("UPDRAFT_IMAGE", image.path)
            .env("UPDRAFT_TARGET", image.filepath)
            .env("UPDRAFT_SHA256", image.sha256)
            .timeout(self.timeout)
            .output(ctx)
            .map_err(|source| Error::Process { action: "run the install command", source })?;
        match finished.status.code() {
            Some(0) => Ok(Installation::Done),
            Some(NEEDS_RESTART) => Ok(Installation::NeedsRestart),
            _ => {
                let said = finished.stderr.text();
                let said = said.lines().last().unwrap_or_default();
                Err(Error::Payload {
                    action: "run the install command",
                    problem: format!("it ended with {}: {said}", finished.status),
                    kind: Kind::Conflict,
                })
            }
        }
    }
}

impl Payload for CommandPayload {
    fn observe(&mut self, _ctx: &Context) -> Result<Option<Observed>> {
        Ok(None)
    }

    fn install(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation> {
        self.run(ctx, "install", image)
    }

    fn complete(&mut self, ctx: &Context, image: NewImage<'_>) -> Result<Installation> {
        self.run(ctx, "complete", image)
    }

    fn revert(&mut self, ctx: &Context, previous: Option<NewImage<'_>>) -> Result<Installation> {
        let previous = previous.ok_or(Error::Payload {
            action: "go back",
            problem: "the image before this one is not here".to_owned(),
            kind: Kind::NotFound,
        })?;
        self.run(ctx, "revert", previous)
    }
}
