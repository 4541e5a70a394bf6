//! Asking for a reboot, and knowing whether it has happened.
//!
//! A sentinel file stands in a folder that a reboot empties: as long as it is there, the reboot
//! is still to come. This is aktualizr's way, so that what watches for its sentinel goes on
//! working.

use std::path::PathBuf;

use updraft_fs::{Dir, atomic_write};
use updraft_process::Command;
use updraft_task::{Context, Event};

use crate::config::Settings;
use crate::{Error, Result};

/// What is run when a reboot is to be forced and no command is set.
const DEFAULT_COMMAND: &str = "/sbin/reboot";

/// The sentinel's path.
pub(crate) fn sentinel(settings: &Settings) -> PathBuf {
    settings.bootloader.reboot_sentinel_dir.join(&settings.bootloader.reboot_sentinel_name)
}

/// Whether a reboot was asked for and has not happened yet.
pub(crate) fn is_awaited(settings: &Settings) -> Result<bool> {
    let path = sentinel(settings);
    path.try_exists().map_err(|source| Error::Read { path, source })
}

/// Sets the sentinel. Done before the state says that a reboot is awaited: a state that waits
/// for a reboot without a sentinel would take the present boot for the new one.
pub(crate) fn set_sentinel(settings: &Settings) -> Result<()> {
    let dir = Dir::create_all(&settings.bootloader.reboot_sentinel_dir, 0o755)?;
    atomic_write(&dir, &settings.bootloader.reboot_sentinel_name, b"", 0o644)?;
    Ok(())
}

/// Removes a sentinel that asks for nothing any more.
pub(crate) fn clear_sentinel(settings: &Settings) -> Result<()> {
    let path = sentinel(settings);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Fs(updraft_fs::Error::new("remove", path, error)))
        }
        _ => Ok(()),
    }
}

/// Runs the reboot command, if there is one. Its failure is no failure of the update: somebody
/// may still reboot.
pub(crate) fn request(ctx: &Context, settings: &Settings) -> Result<()> {
    let command = match settings.bootloader.reboot_command.as_str() {
        "" if settings.uptane.force_install_completion => DEFAULT_COMMAND,
        "" => {
            ctx.report(&Event::Message("a reboot is required".to_owned()));
            return Ok(());
        }
        command => command,
    };
    ctx.report(&Event::Message(format!("rebooting with `{command}`")));
    match Command::new("/bin/sh").args(["-c", command]).run(ctx) {
        Ok(_) => Ok(()),
        Err(updraft_process::Error::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(error) => {
            tracing::error!(%error, "the reboot command failed");
            ctx.report(&Event::Message(format!("failed to {error}; reboot by hand")));
            Ok(())
        }
    }
}
