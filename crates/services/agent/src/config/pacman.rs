//! The settings about what the primary is updated with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[pacman]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pacman {
    /// The installer: `ostree` (deployments), `slots` (payloads) or `none` (files in `images_path`).
    #[serde(rename = "type")]
    pub kind: String,
    /// The stateroot. Empty: the booted deployment's, or the only one there is.
    pub os: String,
    /// The physical root that holds `ostree/` and `boot/`. Empty: `/`.
    pub sysroot: PathBuf,
    /// Where objects are fetched from. Empty: `tls.server` + `/treehub`.
    pub ostree_server: String,
    /// A list of installed packages, `NAME VERSION …` a line, that is sent to the server.
    pub packages_file: PathBuf,
    /// Whether a sysroot and stateroot that do not exist are made.
    pub create_sysroot: bool,
    /// The folder of images, each under its SHA-256.
    pub images_path: PathBuf,
    /// How full the file system may get by fetching, in percent.
    pub storage_watermark: u8,
    /// With `none`: an image counts as running only after a reboot. For tests.
    pub fake_need_reboot: bool,
}

impl Pacman {
    /// Whether targets are OSTree commits.
    pub fn is_ostree(&self) -> bool {
        !self.is_slots() && !self.is_files()
    }

    /// Whether targets are payloads for the slot that does not run.
    pub fn is_slots(&self) -> bool {
        self.kind == "slots"
    }

    /// Whether targets are files that nothing is done with.
    pub fn is_files(&self) -> bool {
        self.kind == "none"
    }
}

impl Default for Pacman {
    fn default() -> Self {
        Self {
            kind: "ostree".to_owned(),
            os: String::new(),
            sysroot: PathBuf::new(),
            ostree_server: String::new(),
            packages_file: PathBuf::from("/usr/package.manifest"),
            create_sysroot: false,
            images_path: PathBuf::from("/var/sota/images"),
            storage_watermark: 100,
            fake_need_reboot: false,
        }
    }
}
