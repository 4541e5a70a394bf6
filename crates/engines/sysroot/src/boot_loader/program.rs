//! Boot loaders that a program installs anew after each switch: `zipl`, which notes the sectors of
//! kernels, and `aboot-deploy`, which writes an image into the partition of the other slot and
//! points `ostree/root.a` or `ostree/root.b` to the deployment. Where the configuration names the
//! partitions, that is done here, without the program (see `slots`).
//!
//! A stamp in `/boot` says from before the switch on that the program has to run. It goes when the
//! program succeeded; until then the program is run again before anything is removed, because what
//! it installed last may still be what boots.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_process::Command;
use updraft_task::Context;

use super::{BootLoader, Slots, offered};
use crate::{Error, Locked, Result};

const STAMP: &str = "ostree-bootloader-update.stamp";

/// Before the switch: the program will have to run.
pub(super) fn announce(boot: &Dir) -> Result<()> {
    Ok(atomic_write(boot, STAMP, b"", 0o644)?)
}

impl Locked<'_> {
    /// After the switch, and before anything is removed: runs the program if it has to run.
    pub(crate) fn run_boot_loader_program(&self) -> Result<()> {
        let Some(boot) = self.sysroot.boot_dir()? else { return Ok(()) };
        if !boot.exists(STAMP)? {
            return Ok(());
        }
        if let Some(slots) = Slots::find(self.sysroot)? {
            self.install_slot(&slots)?;
        } else {
            let Some(command) = self.boot_loader_program()? else { return Ok(()) };
            command.directory(self.sysroot.path()).run(&Context::silent())?;
        }
        boot.unlink(STAMP)?;
        boot.sync()?;
        Ok(())
    }

    fn boot_loader_program(&self) -> Result<Option<Command>> {
        let sysroot = self.sysroot;
        let default = match sysroot.boot_loader()? {
            Some(BootLoader::Zipl) => "zipl",
            Some(BootLoader::Aboot) => "aboot-deploy",
            _ => return Ok(None),
        };
        let named = sysroot.options.boot_loader_program.clone();
        if named.is_none() && default == "zipl" && sysroot.path() != Path::new("/") {
            let message = "install the boot loader: zipl does that for the running system only; \
                           run zipl there, and until then it starts what it started before";
            return Err(Error::other(Kind::Unsupported, message));
        }
        let command = Command::new(named.unwrap_or_else(|| default.into()));
        if default == "zipl" {
            return Ok(Some(command));
        }
        let folders = sysroot.entry_folders()?;
        let Some(folder) = folders.first() else { return Ok(None) };
        let first = offered(folder)?.into_iter().next();
        let Some((name, entry)) = first else { return Ok(None) };
        let value = |key: &str| {
            entry.get(key).map(str::to_owned).ok_or_else(|| {
                let message = format!("aboot: no \"{key}\" key in {name}");
                Error::other(Kind::Invalid, message)
            })
        };
        Ok(Some(
            command
                .args(["-r", "."])
                .args(["-c", &value("abootcfg")?])
                .args(["-o", &value("options")?])
                .arg(value("aboot")?),
        ))
    }
}
