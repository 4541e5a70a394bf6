//! Tries of Android's boot loader: it counts in `misc`, for each of two slots.

use updraft_bootenv::{BootCount, BootVerdict};

use super::DefaultCounter;
use crate::boot_loader::Slots;
use crate::{DeploymentId, Result, Sysroot};

/// The slots, and which of them leads to the default.
pub(super) struct SlotCounter {
    slots: Slots,
    default: Option<updraft_bootenv::AndroidSlot>,
}

impl SlotCounter {
    /// `None`: the device has no slots that we know of.
    pub(super) fn find(sysroot: &Sysroot) -> Result<Option<Self>> {
        let Some(slots) = Slots::find(sysroot)? else { return Ok(None) };
        let default = match sysroot.deployments()?.first() {
            Some(first) => slots.slot_of(sysroot, first)?,
            None => None,
        };
        Ok(Some(Self { slots, default }))
    }
}

impl DefaultCounter for SlotCounter {
    fn count(&self) -> Result<Option<BootCount>> {
        match self.default {
            Some(slot) => Ok(self.slots.control()?.count(slot)),
            None => Ok(None),
        }
    }

    /// That is done when the slot is made the one to be started, after the switch.
    fn arm(&self, _default: &DeploymentId, _tries: u32) -> Result<()> {
        Ok(())
    }

    fn settle(&self, verdict: BootVerdict) -> Result<()> {
        let Some(slot) = self.default else { return Ok(()) };
        let mut control = self.slots.control()?;
        if verdict == BootVerdict::Bad {
            control.disable(slot);
        } else {
            control.confirm(slot);
        }
        self.slots.set_control(&control)
    }

    fn is_about_one_deployment(&self) -> bool {
        true
    }
}
