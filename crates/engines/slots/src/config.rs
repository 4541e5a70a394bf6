//! [`SlotsConfig`]: what a device's slots are, in `/etc/updraft/slots.toml`.
//!
//! ```toml
//! state = "/var/lib/updraft/slots"            # not in a slot
//! keys = ["/etc/updraft/payload.pem"]
//!
//! [boot-control.misc]
//! path = "/dev/disk/by-partlabel/misc"
//!
//! [partitions]
//! system = ["PARTLABEL=system_a", "PARTLABEL=system_b"]
//! boot = ["/dev/mmcblk0p2", "/dev/mmcblk0p3"]
//! ```

mod boot;
mod by_type;
mod check;
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use updraft_error::{Classify, Kind};

pub use boot::BootControlConfig;
pub use by_type::SlotPartitions;

use crate::Places;
use crate::boot_control::Slot;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 10;
const DEFAULT_TRIES: u32 = 3;

/// What a device's slots are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlotsConfig {
    /// The folder for what has to be remembered over updates; it is in none of the slots.
    pub state: PathBuf,
    /// Public keys or certificates (PEM), one of which has to have signed a payload.
    #[serde(default)]
    pub keys: Vec<PathBuf>,
    /// How often a new slot is tried.
    #[serde(default = "default_tries")]
    pub tries: u32,
    /// The slot that runs, `a` or `b`, where neither the kernel's command line nor the root device
    /// tells.
    pub running: Option<SlotName>,
    /// A program that is asked before an update is begun: with an exit code other than 0 it is not,
    /// and what the program prints is the reason. It knows of batteries and the like.
    pub ask: Option<PathBuf>,
    /// What becomes of the programs that a payload brings to be run before its slot is switched to.
    #[serde(default)]
    pub postinstall: Postinstall,
    /// A program for `POWERWASH=1`. With the arguments `schedule SLOT` it sees to it that the first
    /// start of this slot removes the user's data; with `cancel SLOT`, that it does not.
    pub powerwash: Option<PathBuf>,
    /// The folder of the updates that people may choose from: an
    /// [`UpdateConfig`](crate::UpdateConfig) in each `*.json`.
    #[serde(default = "updates")]
    pub updates: PathBuf,
    /// What the running system is; its build writes this.
    #[serde(default)]
    pub build: BuildConfig,
    /// Where the boot loader keeps which slot is started.
    pub boot_control: BootControlConfig,
    /// Where each partition of a payload is, in slot `a` and in slot `b`.
    pub partitions: BTreeMap<String, SlotPartitions>,
}

/// What becomes of the programs of a payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Postinstall {
    /// A payload that has to run one is refused; those that may fail are left out.
    #[default]
    Refuse,
    /// None is run.
    Skip,
    /// All are run, with all rights: whoever signs payloads may do anything here.
    Run,
}

/// What the running system is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildConfig {
    /// The time of its build, in seconds since 1970: older payloads are refused.
    pub timestamp: Option<i64>,
    /// Its security patch level, such as `2026-11-01`: older payloads are refused.
    pub security_patch_level: Option<String>,
}

/// A slot as configurations name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// The first.
    A,
    /// The second.
    B,
}

impl From<SlotName> for Slot {
    fn from(name: SlotName) -> Self {
        match name {
            SlotName::A => Self::A,
            SlotName::B => Self::B,
        }
    }
}

fn updates() -> PathBuf {
    "/etc/updraft/updates".into()
}

fn default_tries() -> u32 {
    DEFAULT_TRIES
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no such configuration. The message names line and key.
    #[error("understand {path}: {problem}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A value cannot be right.
    #[error("use {path}: {key} = {value}: {problem}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Classify for ConfigError {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } => Classify::kind(source),
            Self::Syntax { .. } | Self::Value { .. } => Kind::Invalid,
        }
    }
}

impl SlotsConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        use std::io::Read as _;

        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads a text; `path` is for messages.
    ///
    /// # Errors
    /// When it is none, or has values that cannot be right.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let problem = error.to_string().trim_end().to_owned();
            ConfigError::Syntax { path: path.to_owned(), problem }
        })?;
        config.find_by_type(path)?;
        config.check(path)?;
        Ok(config)
    }

    /// Where the partition is in a slot. `None`: there is none of this name.
    #[must_use]
    pub fn partition(&self, name: &str, slot: Slot) -> Option<PathBuf> {
        self.partitions.get(name)?.both().map(|both| device(slot.of(both).as_path()))
    }

    /// Where these partitions are, for an update of the slot that does not run.
    pub(crate) fn places(
        &self,
        names: &[&str],
        target: Slot,
    ) -> Result<BTreeMap<String, Places>, String> {
        let place = |name: &&str| {
            let both = self.partitions.get(*name).and_then(SlotPartitions::both);
            let both = both.ok_or_else(|| (*name).to_owned())?;
            let source = Some(device(target.other().of(both).as_path()));
            Ok(((*name).to_owned(), Places { target: device(target.of(both).as_path()), source }))
        };
        names.iter().map(place).collect()
    }
}

/// The path of what a configuration names.
fn device(named: &Path) -> PathBuf {
    let text = named.to_str().unwrap_or_default();
    for (prefix, folder) in check::NAMES {
        if let Some(name) = text.strip_prefix(prefix) {
            return Path::new(folder).join(name);
        }
    }
    named.to_owned()
}
