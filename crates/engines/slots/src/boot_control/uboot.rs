//! [`UbootVariables`]: U-Boot, with the variables of RAUC or of Mender in its environment.
//!
//! | RAUC | meaning |
//! | --- | --- |
//! | `BOOT_ORDER` | names of the slots, the first is started first |
//! | `BOOT_NAME_LEFT` | in hex, how often it may be started; the script takes one off before |
//!
//! | Mender | meaning |
//! | --- | --- |
//! | `mender_boot_part`, `mender_boot_part_hex` | the number of the slot's partition |
//! | `upgrade_available` | 1: it is on trial, and U-Boot counts |
//! | `bootcount` | tries that were made; U-Boot adds one before each |
//! | `bootlimit` | when more were made, the other partition is started for good |
//!
//! With RAUC's variables also a slot that works is counted, and has to be marked successful after each
//! start; with Mender's, only the one on trial has something to fall back to. (RAUC, "Integration",
//! U-Boot; Mender, "Bootloader support".)

mod environment;
mod mender;
mod rauc;

use std::path::PathBuf;

use environment::Environment;
use mender::Mender;
use rauc::Rauc;

use super::{BootControl, BootStatus, Counting, Slot};
use crate::Result;

/// Whose variables the script of U-Boot looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UbootScheme {
    /// RAUC's.
    Rauc {
        /// The names of the slots in the variables.
        names: [String; 2],
        /// How often a slot that works may be started until it is marked successful again.
        default_tries: u32,
    },
    /// Mender's.
    Mender {
        /// The numbers of the slots' partitions.
        partitions: [u32; 2],
    },
}

/// Variables in U-Boot's environment. A change is one write of the whole environment: of two copies,
/// that of the older one.
#[derive(Debug)]
pub struct UbootVariables {
    environment: Environment,
    scheme: UbootScheme,
}

impl UbootVariables {
    /// With the file that says where the environment is, as `/etc/fw_env.config` does.
    #[must_use]
    pub fn new(config: impl Into<PathBuf>, scheme: UbootScheme) -> Self {
        Self { environment: Environment::new(config.into()), scheme }
    }
}

/// What variables mean, and which have to be set.
trait Scheme {
    fn counting(&self) -> Counting;
    fn status(&self, get: &dyn Fn(&str) -> Option<String>) -> BootStatus;
    fn change(&self, get: &dyn Fn(&str) -> Option<String>, change: Change) -> Vec<Variable>;
}

/// A variable's name and value; an empty one removes it.
type Variable = (String, String);

#[derive(Debug, Clone, Copy)]
enum Change {
    Activate(Slot, Option<u32>),
    Disable(Slot),
    Confirm(Slot),
}

impl UbootVariables {
    fn scheme(&self) -> Box<dyn Scheme + '_> {
        match &self.scheme {
            UbootScheme::Rauc { names, default_tries } => {
                Box::new(Rauc { names, default_tries: *default_tries })
            }
            UbootScheme::Mender { partitions } => Box::new(Mender { partitions: *partitions }),
        }
    }

    fn change(&self, change: Change) -> Result<()> {
        self.environment.change(|get| self.scheme().change(get, change))
    }
}

impl BootControl for UbootVariables {
    fn status(&self) -> Result<BootStatus> {
        let environment = self.environment.read()?;
        Ok(self.scheme().status(&|name| environment.get(name).map(str::to_owned)))
    }

    fn counting(&self) -> Counting {
        self.scheme().counting()
    }

    fn set_active(&self, slot: Slot, tries: Option<u32>) -> Result<()> {
        self.change(Change::Activate(slot, tries))
    }

    fn mark_unbootable(&self, slot: Slot) -> Result<()> {
        self.change(Change::Disable(slot))
    }

    fn mark_successful(&self, slot: Slot) -> Result<()> {
        self.change(Change::Confirm(slot))
    }
}
