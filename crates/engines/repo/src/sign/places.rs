//! [`Places`]: where a system keeps the keys it trusts, and the time to judge them at.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

/// What the program knows of its surroundings.
#[derive(Debug, Clone)]
pub struct Places {
    /// Folders with `trusted.TYPE`, `trusted.TYPE.d/`, `revoked.TYPE` and `revoked.TYPE.d/`.
    pub key_dirs: Vec<PathBuf>,
    /// The folder of the global OpenPGP keyrings, `*.gpg`.
    pub gpg_dir: PathBuf,
    /// The folder of remotes of the system, where their keyrings are, too.
    pub remotes_dir: PathBuf,
    /// Whether the signature type `dummy` exists.
    pub dummy: bool,
    /// The time in seconds since 1970.
    pub now: u64,
    /// The zone of times in texts.
    pub zone: TimeZone,
}

impl Places {
    /// Those of a Linux system.
    #[must_use]
    pub fn of_system(now: u64) -> Self {
        Self {
            key_dirs: vec!["/etc/ostree".into(), "/usr/share/ostree".into()],
            gpg_dir: "/usr/share/ostree/trusted.gpg.d".into(),
            remotes_dir: "/etc/ostree/remotes.d".into(),
            dummy: false,
            now,
            zone: TimeZone::UTC,
        }
    }

    /// All keys below one folder only.
    #[must_use]
    pub fn with_key_dir(mut self, dir: &Path) -> Self {
        self.key_dirs = vec![dir.to_owned()];
        self
    }
}
