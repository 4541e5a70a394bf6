//! The settings about repositories and ECUs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keys::{KeySource, UptaneKeyType};

/// `[uptane]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own in the file")]
pub struct UptaneSettings {
    /// Seconds between two checks of `updraftd run`.
    pub polling_sec: u64,
    /// The Director repository. Empty: `tls.server` + `/director`.
    pub director_server: String,
    /// The Image repository. Empty: `tls.server` + `/repo`.
    pub repo_server: String,
    /// Where the ECU's key is kept.
    pub key_source: KeySource,
    /// The algorithm of the ECU's key.
    pub key_type: UptaneKeyType,
    /// Which files the Director serves.
    pub director_metadata: DirectorMetadata,
    /// Runs `bootloader.reboot_command`, or `/sbin/reboot` when it is empty, after an
    /// installation.
    pub force_install_completion: bool,
    /// Whether somebody on the device has to agree (`updraftd accept`) before an update is
    /// installed.
    pub require_consent: bool,
    /// While another program holds a lock (`flock`) on this file, nothing is installed. Empty: no
    /// such file.
    pub update_lock_file: PathBuf,
    /// The file that names the secondaries, in aktualizr's form. Empty: there are none.
    pub secondary_config_file: PathBuf,
    /// How many seconds a secondary may be out of reach, before it is installed to and after.
    pub secondary_preinstall_wait_sec: u64,
    /// Whether the service asks the server for updates.
    pub enable_online_updates: bool,
    /// Whether the service looks for a medium with an update.
    pub enable_offline_updates: bool,
    /// The folder in which media appear.
    pub offline_updates_source: PathBuf,
}

impl Default for UptaneSettings {
    fn default() -> Self {
        Self {
            polling_sec: 10,
            director_server: String::new(),
            repo_server: String::new(),
            key_source: KeySource::default(),
            key_type: UptaneKeyType::default(),
            director_metadata: DirectorMetadata::default(),
            force_install_completion: false,
            require_consent: false,
            update_lock_file: PathBuf::new(),
            secondary_config_file: PathBuf::new(),
            secondary_preinstall_wait_sec: 600,
            enable_online_updates: true,
            enable_offline_updates: false,
            offline_updates_source: PathBuf::from("/mnt/offline-updates"),
        }
    }
}

/// Which files the Director serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectorMetadata {
    /// All four roles, as the Uptane standard demands.
    #[default]
    Full,
    /// Root and targets only, as Directors of the aktualizr world may.
    TargetsOnly,
    /// All four, unless the Director's root names no keys for timestamp and snapshot.
    Auto,
}
