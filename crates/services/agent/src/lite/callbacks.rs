//! `pacman.callback_program`: told of each step.
//!
//! | `MESSAGE` | `RESULT` |
//! | --- | --- |
//! | `check-for-update-pre` | |
//! | `check-for-update-post` | `OK`, `FAILED: why` |
//! | `download-pre` | |
//! | `download-post` | `OK`, `FAILED` |
//! | `install-pre` | |
//! | `install-post` | `NEEDS_COMPLETION`, `OK`, `FAILED` |
//! | `install-final-pre` | |
//!
//! `CURRENT_TARGET` is the path of a file that names what runs, `CURRENT_TARGET_NAME` its name, and
//! `INSTALL_TARGET_NAME` the name of what the step is about.

use updraft_process::Command;
use updraft_task::Context;

use super::{LiteSettings, LiteTarget, current};

/// The program, and what runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Callbacks<'a> {
    pub(super) lite: &'a LiteSettings,
}

impl Callbacks<'_> {
    /// Runs the program. That it fails changes nothing.
    pub(super) fn tell(
        self,
        ctx: &Context,
        message: &str,
        running: &LiteTarget,
        about: Option<&LiteTarget>,
        result: Option<&str>,
    ) {
        let program = &self.lite.callback_program;
        if program.as_os_str().is_empty() {
            return;
        }
        let storage = &self.lite.agent.storage.path;
        let mut command = Command::new(program)
            .env("MESSAGE", message)
            .env("CURRENT_TARGET", storage.join(current::FILE))
            // What a caller of this program has set must not look like our words.
            .env_remove("CURRENT_TARGET_NAME")
            .env_remove("INSTALL_TARGET_NAME")
            .env_remove("RESULT");
        if !running.is_unknown() {
            command = command.env("CURRENT_TARGET_NAME", &running.name);
        }
        if let Some(about) = about {
            command = command.env("INSTALL_TARGET_NAME", &about.name);
        }
        if let Some(result) = result {
            command = command.env("RESULT", result);
        }
        if let Err(error) = command.run(ctx) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, message, "the callback program failed");
        }
    }
}
