//! Variables of the boot loader by which it counts boots and takes over new firmware.
//!
//! | mode | set by | before an installation | when what runs is good |
//! | --- | --- | --- | --- |
//! | `uboot_generic` | `fw_setenv` | `bootcount=0`, `rollback=0` | `bootcount=0` |
//! | `uboot_masked` | `fw_setenv` | and `upgrade_available=1` | and `upgrade_available=0` |
//! | `fiovb` | `fiovb_setenv` | as `uboot_masked` | as `uboot_masked` |
//! | `fioefi` | `fioefi_setenv` | as `uboot_masked` | as `uboot_masked` |
//!
//! All but `uboot_generic` also know boot firmware: `bootfirmware_version` is what is installed,
//! `bootupgrade_available=1` asks for the new one, `rollback_protection=1` forbids older ones.

use std::path::Path;
use std::time::Duration;

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_process::Command;
use updraft_task::Context;
use updraft_update::StepError;

/// Where a commit names its boot firmware: `bootfirmware_version=N`.
const FIRMWARE: &str = "usr/lib/firmware";
const VERSION_FILE: &str = "version.txt";
const VERSION_KEY: &str = "bootfirmware_version=";
/// The file has a few lines.
const MAX_VERSION_FILE: u64 = 64 << 10;
/// Setting a variable writes a flash block or asks a trusted application.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How the boot loader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RollbackMode {
    /// Not at all.
    #[default]
    None,
    /// U-Boot, which always counts.
    UbootGeneric,
    /// U-Boot, which counts while `upgrade_available` is set.
    UbootMasked,
    /// Variables in a trusted application.
    FioVb,
    /// Variables of UEFI.
    FioEfi,
}

impl RollbackMode {
    /// From the setting; what is not known is told in the log and counts as `none`.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "none" => Self::None,
            "uboot_generic" => Self::UbootGeneric,
            "uboot_masked" => Self::UbootMasked,
            "fiovb" => Self::FioVb,
            "fioefi" => Self::FioEfi,
            other => {
                tracing::warn!(mode = other, "bootloader.rollback_mode is not known");
                Self::None
            }
        }
    }

    /// Whether boot firmware has variables, too.
    fn knows_firmware(self) -> bool {
        matches!(self, Self::UbootMasked | Self::FioVb | Self::FioEfi)
    }

    /// The program that sets variables.
    fn setter(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::UbootGeneric | Self::UbootMasked => Some("fw_setenv"),
            Self::FioVb => Some("fiovb_setenv"),
            Self::FioEfi => Some("fioefi_setenv"),
        }
    }

    /// The program that prints a variable's value, with what goes before the name.
    fn getter(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::None => None,
            Self::UbootGeneric | Self::UbootMasked => Some(("fw_printenv", &["-n"])),
            Self::FioVb => Some(("fiovb_printenv", &[])),
            Self::FioEfi => Some(("fioefi_printenv", &[])),
        }
    }
}

/// The variables.
#[derive(Debug, Clone, Copy)]
pub(super) struct BootEnvironment(pub(super) RollbackMode);

impl BootEnvironment {
    /// Another deployment is about to become the default. A false notice does no harm.
    pub(super) fn before_installation(self, ctx: &Context) {
        self.set(ctx, "bootcount", "0");
        if self.0 != RollbackMode::UbootGeneric {
            self.set(ctx, "upgrade_available", "1");
        }
        self.set(ctx, "rollback", "0");
    }

    /// What runs is good.
    pub(super) fn good(self, ctx: &Context) {
        self.set(ctx, "bootcount", "0");
        if self.0 != RollbackMode::UbootGeneric {
            self.set(ctx, "upgrade_available", "0");
        }
    }

    /// Whether new firmware waits for a reboot.
    pub(super) fn awaits_firmware(self, ctx: &Context) -> bool {
        self.0.knows_firmware() && self.get(ctx, "bootupgrade_available").as_deref() == Some("1")
    }

    /// Fails when this deployment's firmware is older than what is installed, and older firmware
    /// is forbidden.
    pub(super) fn check_firmware(self, ctx: &Context, deployment: &Path) -> Result<(), StepError> {
        if !self.0.knows_firmware() || !self.forbids_older(ctx) {
            return Ok(());
        }
        let Some(offered) = firmware_of(deployment)? else { return Ok(()) };
        let installed = self.installed_firmware(ctx).unwrap_or(0);
        if offered >= installed {
            return Ok(());
        }
        let what = format!("go from boot firmware {installed} to {offered}: that is forbidden");
        Err(StepError::message(Kind::Rejected, what))
    }

    /// Asks for this deployment's firmware, where it is another one.
    pub(super) fn offer_firmware(self, ctx: &Context, deployment: &Path) {
        if !self.0.knows_firmware() {
            return;
        }
        let Ok(Some(offered)) = firmware_of(deployment) else { return };
        let installed = self.installed_firmware(ctx);
        let wanted = match installed {
            None => true,
            Some(installed) if self.forbids_older(ctx) => offered > installed,
            Some(installed) => offered != installed,
        };
        if wanted {
            tracing::info!(?installed, offered, "the boot firmware is to be updated");
            self.set(ctx, "bootupgrade_available", "1");
        }
    }

    fn forbids_older(self, ctx: &Context) -> bool {
        self.get(ctx, "rollback_protection").as_deref() == Some("1")
    }

    fn installed_firmware(self, ctx: &Context) -> Option<u64> {
        self.get(ctx, "bootfirmware_version")?.parse().ok()
    }

    /// One that has the value already is not written again, for it is in flash. A variable that
    /// cannot be set is told in the log: the update does not fail for it, as it
    /// does not in aktualizr-lite.
    fn set(self, ctx: &Context, name: &str, value: &str) {
        let Some(program) = self.0.setter() else { return };
        if self.get(ctx, name).as_deref() == Some(value) {
            return;
        }
        if let Err(error) = Command::new(program).args([name, value]).timeout(TIMEOUT).run(ctx) {
            tracing::warn!(%error, name, value, "a variable of the boot loader is not set");
        }
    }

    fn get(self, ctx: &Context, name: &str) -> Option<String> {
        let (program, before) = self.0.getter()?;
        let command = Command::new(program).args(before).arg(name).timeout(TIMEOUT);
        match command.run(ctx) {
            Ok(finished) => Some(finished.stdout.text().trim().to_owned()),
            Err(error) => {
                tracing::debug!(%error, name, "a variable of the boot loader is not known");
                None
            }
        }
    }
}

/// The boot firmware that a deployment names.
fn firmware_of(deployment: &Path) -> Result<Option<u64>, StepError> {
    let Ok(folder) = Dir::open(deployment.join(FIRMWARE)) else { return Ok(None) };
    let bytes = folder.try_read(VERSION_FILE, MAX_VERSION_FILE).map_err(StepError::new)?;
    bytes.map_or(Ok(None), |bytes| read_version(&String::from_utf8_lossy(&bytes)))
}

fn read_version(text: &str) -> Result<Option<u64>, StepError> {
    let Some(value) = text.lines().find_map(|line| line.trim().strip_prefix(VERSION_KEY)) else {
        return Ok(None);
    };
    value.trim().parse().map(Some).map_err(|_| {
        let what = format!("read the boot firmware's version {:?}", value.trim());
        StepError::message(Kind::Rejected, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_versions_are_numbers() {
        assert_eq!(read_version("bootfirmware_version=7\n").unwrap(), Some(7));
        assert_eq!(read_version("# firmware\n bootfirmware_version=12 \n").unwrap(), Some(12));
        assert_eq!(read_version("other=1").unwrap(), None);
        assert!(read_version("bootfirmware_version=1.2").is_err());
    }

    #[test]
    fn modes_are_named_as_in_the_configuration() {
        for (text, mode) in [
            ("", RollbackMode::None),
            ("none", RollbackMode::None),
            ("uboot_generic", RollbackMode::UbootGeneric),
            ("uboot_masked", RollbackMode::UbootMasked),
            ("fiovb", RollbackMode::FioVb),
            ("fioefi", RollbackMode::FioEfi),
            ("grub", RollbackMode::None),
        ] {
            assert_eq!(RollbackMode::parse(text), mode);
        }
    }
}
