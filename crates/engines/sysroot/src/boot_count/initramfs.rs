//! The counter of `updraft-init`, for boot loaders that cannot count: `/ostree/updraft/tries`, a
//! key file about one deployment.
//!
//! ```text
//! [tries]
//! deployment=CSUM.N      the deployment that is on trial
//! limit=3                how often it may be tried
//! tried=1                how often it has been; `updraft-init` adds to it before it boots it
//! reached=initramfs      how far the last try came; written and read by `updraft-init`
//! good=true              it is good; nothing is counted any more
//! ```
//!
//! `updraft.boot-counting=initramfs` in the repository's configuration says that it counts.

use updraft_bootenv::{BootCount, BootVerdict};
use updraft_fs::{Dir, atomic_write};
use updraft_ostree::KeyFile;

use super::DefaultCounter;
use crate::{DeploymentId, Error, Result, Sysroot};

const FOLDER: &str = "updraft";
const FILE: &str = "tries";
const GROUP: &str = "tries";
const MAX_FILE: u64 = 64 << 10;

/// The file, and what it is to be about.
pub(super) struct InitramfsCounter {
    ostree: Dir,
    default: Option<DeploymentId>,
    tries: u32,
}

impl InitramfsCounter {
    /// `None`: the initramfs does not count.
    pub(super) fn find(sysroot: &Sysroot) -> Result<Option<Self>> {
        let configured = sysroot.repo.config().key_file().get("updraft", "boot-counting");
        if configured.as_deref() != Some("initramfs") {
            return Ok(None);
        }
        let default = sysroot.deployments()?.into_iter().next().map(|first| first.id);
        let ostree = sysroot.ostree.open_dir(".")?;
        Ok(Some(Self { ostree, default, tries: sysroot.boot_counting_tries() }))
    }

    /// The file, where it is about the default. One that cannot be understood counts nothing.
    fn read(&self) -> Result<Option<KeyFile>> {
        let Some(folder) = self.ostree.try_open_dir(FOLDER)? else { return Ok(None) };
        let Some(bytes) = folder.try_read(FILE, MAX_FILE)? else { return Ok(None) };
        let file = KeyFile::parse(&String::from_utf8_lossy(&bytes)).ok();
        let about = |file: &KeyFile| file.get(GROUP, "deployment");
        let default = self.default.as_ref().map(DeploymentId::dir_name);
        Ok(file.filter(|file| default.is_some() && about(file) == default))
    }

    fn write(&self, file: &KeyFile) -> Result<()> {
        let folder = self.ostree.ensure_dir(FOLDER, 0o755)?;
        self.ostree.sync()?;
        // Commit point: the rename within.
        atomic_write(&folder, FILE, file.to_string().as_bytes(), 0o644).map_err(Error::Fs)
    }
}

impl DefaultCounter for InitramfsCounter {
    fn count(&self) -> Result<Option<BootCount>> {
        let Some(file) = self.read()? else { return Ok(None) };
        let number = |key| file.get(GROUP, key).and_then(|text| text.trim().parse::<u32>().ok());
        let is_good = matches!(file.get_bool(GROUP, "good"), Ok(Some(true)));
        let done = number("tried").unwrap_or(0);
        let limit = number("limit").filter(|_| !is_good);
        Ok(limit.map(|limit| BootCount { left: limit.saturating_sub(done), done }))
    }

    fn arm(&self, default: &DeploymentId, tries: u32) -> Result<()> {
        let mut file = KeyFile::default();
        file.set(GROUP, "deployment", &default.dir_name());
        file.set(GROUP, "limit", &tries.to_string());
        file.set(GROUP, "tried", "0");
        self.write(&file)
    }

    fn settle(&self, verdict: BootVerdict) -> Result<()> {
        let Some(default) = &self.default else { return Ok(()) };
        let mut file = self.read()?.unwrap_or_default();
        file.set(GROUP, "deployment", &default.dir_name());
        if verdict == BootVerdict::Bad {
            let limit = self.tries.max(1).to_string();
            file.set(GROUP, "limit", &limit);
            file.set(GROUP, "tried", &limit);
            file.remove(GROUP, "good");
        } else {
            file.set(GROUP, "good", "true");
        }
        self.write(&file)
    }

    fn is_about_one_deployment(&self) -> bool {
        true
    }
}
