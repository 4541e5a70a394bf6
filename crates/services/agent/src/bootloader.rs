//! U-Boot environments with aktualizr's variables, through `fw_setenv` as aktualizr does it.
//!
//! | `bootloader.rollback_mode` | before the reboot into an update | what runs is good |
//! | --- | --- | --- |
//! | `uboot_generic` | `bootcount=0 rollback=0` | `bootcount=0 rollback=0` |
//! | `uboot_masked` | the same and `upgrade_available=1` | the same and `upgrade_available=0` |
//!
//! For boot loaders whose scripts know these variables and count by themselves. Where Updraft writes
//! the boot loader's entries, it counts without them; see the guide.

use std::time::Duration;

use updraft_process::Command;
use updraft_task::Context;

use crate::Result;
use crate::config::Settings;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What the boot loader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// The next boot tries an update.
    Trial,
    /// What runs is good.
    Good,
}

/// Tells the boot loader; variables that have the value already are not written again, for they
/// are in flash. A boot loader that cannot be told is no reason to stop: it is logged.
pub(crate) fn tell(ctx: &Context, settings: &Settings, news: News) -> Result<()> {
    for (name, value) in variables(&settings.bootloader.rollback_mode, news) {
        ctx.check()?;
        let read = Command::new("fw_printenv").args(["-n", name]).timeout(TIMEOUT).run(ctx);
        if read.is_ok_and(|read| read.stdout.text().trim() == *value) {
            continue;
        }
        match Command::new("fw_setenv").args([name, value]).timeout(TIMEOUT).run(ctx) {
            Ok(_) => {}
            Err(updraft_process::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, name, value, "the boot loader is not told");
            }
        }
    }
    Ok(())
}

fn variables(mode: &str, news: News) -> &'static [(&'static str, &'static str)] {
    const GENERIC: [(&str, &str); 2] = [("bootcount", "0"), ("rollback", "0")];
    match (mode, news) {
        ("uboot_generic", _) => &GENERIC,
        ("uboot_masked", News::Trial) => {
            &[("bootcount", "0"), ("rollback", "0"), ("upgrade_available", "1")]
        }
        ("uboot_masked", News::Good) => {
            &[("bootcount", "0"), ("rollback", "0"), ("upgrade_available", "0")]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_variables() {
        assert!(variables("none", News::Trial).is_empty());
        assert_eq!(variables("uboot_generic", News::Trial), variables("uboot_generic", News::Good));
        let masked = |news| variables("uboot_masked", news).last().copied();
        assert_eq!(masked(News::Trial), Some(("upgrade_available", "1")));
        assert_eq!(masked(News::Good), Some(("upgrade_available", "0")));
    }
}
