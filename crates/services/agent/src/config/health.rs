//! The settings about health checks and the watchdog.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[health]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthChecks {
    /// Folders laid out as greenboot's, with `check/required.d`, `check/wanted.d`, `green.d` and
    /// `red.d` in them.
    pub folders: Vec<PathBuf>,
    /// How long each script in them may take, in seconds.
    pub script_timeout_sec: u64,
    /// Whether the server has to be reachable.
    pub server: bool,
    /// systemd units that have to be active.
    pub units: Vec<String>,
    /// Free space that the storage folder and the sysroot have to have, in MiB. 0: any.
    pub disk_free_mib: u64,
    /// How long the server and units are waited for, in seconds.
    pub wait_sec: u64,
    /// All of them have to pass after the first boot of an update.
    pub checks: Vec<HealthCheck>,
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self {
            folders: [
                "/usr/lib/greenboot",
                "/etc/greenboot",
                "/usr/lib/updraft/health",
                "/etc/updraft/health",
            ]
            .map(PathBuf::from)
            .to_vec(),
            script_timeout_sec: 300,
            server: false,
            units: Vec::new(),
            disk_free_mib: 0,
            wait_sec: 60,
            checks: Vec::new(),
        }
    }
}

/// One health check: a program that ends with 0 when all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What reports call it.
    pub name: String,
    /// The program and its arguments; no shell is involved.
    pub command: Vec<String>,
    /// How long it may take, in seconds.
    #[serde(default = "default_timeout_sec")]
    pub timeout_sec: u64,
}

fn default_timeout_sec() -> u64 {
    60
}

/// `[watchdog]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watchdog {
    /// When it is kept from resetting the device.
    pub mode: WatchdogMode,
    /// The watchdog.
    pub device: PathBuf,
    /// Seconds between two signs of life; a third of the watchdog's own time is right.
    pub interval_sec: u64,
    /// How long a verdict on a new system may take, in seconds, before the device is reset.
    pub pending_sec: u64,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            mode: WatchdogMode::Off,
            device: PathBuf::from("/dev/watchdog"),
            interval_sec: 10,
            pending_sec: 1800,
        }
    }
}

/// When the agent uses the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchdogMode {
    /// Never: it is somebody else's.
    #[default]
    Off,
    /// From the start of the agent until what runs is confirmed or left.
    Pending,
    /// As long as the agent runs.
    Always,
}
