//! Which deployment is booted, and whether a reboot that was asked for has happened.
//!
//! The program that made the deployment the root of the system has left a note of it. Where there is
//! none, the kernel command line names it by a link that later switches replace, so it means the
//! right one only as long as nothing was switched: it is followed once in each boot and remembered.
//! On a device, boots are told apart by the kernel's boot id. Where the command line is another file
//! (a simulation), by that file, and a reboot has happened when the sentinel is gone.

mod crash_records;
mod evidence;
pub(crate) mod fallback;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use updraft_sysroot::{DeploymentId, Sysroot};

use crate::config::Settings;
use crate::reboot;
use crate::store::{BootRecord, Store};
use crate::{Error, Result, slots};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is known about the present boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    /// Tells this boot from others.
    pub(crate) session: String,
    /// Whether a reboot was asked for in it.
    pub(crate) awaits_reboot: bool,
    /// What is booted. `None`: no deployment.
    pub(crate) booted: Option<DeploymentId>,
    /// What an agent saw booted last, when that was another deployment. Known until the boot has
    /// been remembered, so to the first that observes it.
    pub(crate) before: Option<DeploymentId>,
    /// What runs, as far as that can be told.
    pub(crate) running: Running,
}

/// What the primary runs, as far as that can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Running {
    /// Nobody can tell: what was confirmed last stands for it.
    AsConfirmed,
    /// This digest: a commit, or the payload that made the slot.
    Image(String),
    /// A slot that nobody knows the content of.
    Unknown,
}

impl Running {
    fn deployment(booted: Option<&DeploymentId>) -> Self {
        booted.map_or(Self::AsConfirmed, |id| Self::Image(id.checksum.to_hex()))
    }

    fn of(settings: &Settings, session: &str, booted: Option<&DeploymentId>) -> Self {
        if !settings.pacman.is_slots() {
            return Self::deployment(booted);
        }
        // What is wrong with the slots the installer tells.
        let overview = slots::open(settings, session).and_then(|engine| slots::overview(&engine));
        overview.map_or(Self::AsConfirmed, |overview| {
            match slots::held(&overview, overview.running) {
                Some(image) => Self::Image(image.sha256.clone()),
                None => Self::Unknown,
            }
        })
    }
}

impl Boot {
    /// Looks, without changing anything. Without a sysroot nothing is booted from one.
    pub(crate) fn look(
        settings: &Settings,
        store: &Store,
        sysroot: Option<&Sysroot>,
    ) -> Result<Self> {
        let path = &settings.boot.kernel_cmdline;
        let session = session(path)?;
        if let Some(known) = store.boot()?
            && known.session == session
            && !has_ended(settings, &known)?
        {
            let booted = known
                .booted
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| Error::Damaged { what: "the booted deployment" })?;
            let running = Running::of(settings, &session, booted.as_ref());
            return Ok(Self {
                session,
                awaits_reboot: known.awaits,
                booted,
                before: None,
                running,
            });
        }
        let booted = sysroot.map(|sysroot| booted(path, sysroot)).transpose()?.flatten();
        let running = Running::of(settings, &session, booted.as_ref());
        Ok(Self { session, awaits_reboot: false, booted, before: None, running })
    }

    /// Looks, and remembers what it saw.
    pub(crate) fn observe(
        settings: &Settings,
        store: &Store,
        sysroot: Option<&Sysroot>,
    ) -> Result<Self> {
        let mut boot = Self::look(settings, store, sysroot)?;
        let record = boot.record();
        let known = store.boot()?;
        if known.as_ref() != Some(&record) {
            let before = known.and_then(|known| known.booted?.parse().ok());
            boot.before = before.filter(|before| boot.booted.as_ref() != Some(before));
            store.set_boot(&record)?;
            if !boot.awaits_reboot {
                // Left over from before a reboot that did not empty its folder.
                reboot::clear_sentinel(settings)?;
            }
        }
        Ok(boot)
    }

    /// Asks for a reboot in this boot: the sentinel first, for a state that waits without one
    /// would take this boot for the next.
    pub(crate) fn await_reboot(&mut self, settings: &Settings, store: &Store) -> Result<()> {
        reboot::set_sentinel(settings)?;
        self.awaits_reboot = true;
        store.set_boot(&self.record())
    }

    /// A reboot is not needed any more.
    pub(crate) fn no_reboot(&mut self, settings: &Settings, store: &Store) -> Result<()> {
        self.awaits_reboot = false;
        store.set_boot(&self.record())?;
        reboot::clear_sentinel(settings)
    }

    fn record(&self) -> BootRecord {
        BootRecord {
            session: self.session.clone(),
            awaits: self.awaits_reboot,
            booted: self.booted.as_ref().map(ToString::to_string),
        }
    }
}

/// Whether the kernel's own command line is read, and not a simulation's.
fn is_real(path: &Path) -> bool {
    path.starts_with("/proc")
}

/// Tells this boot from others.
pub(crate) fn session(path: &Path) -> Result<String> {
    if is_real(path) {
        return read(Path::new(BOOT_ID)).map(|id| id.trim().to_owned());
    }
    match std::fs::metadata(path) {
        Ok(file) => {
            Ok(format!("{}:{}:{}.{:09}", file.dev(), file.ino(), file.mtime(), file.mtime_nsec()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("none".to_owned()),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// Whether the reboot that was asked for has happened although the session looks the same.
fn has_ended(settings: &Settings, known: &BootRecord) -> Result<bool> {
    // Without a system to boot, a reboot changes nothing: taking the sentinel away stands for it.
    let simulated = !is_real(&settings.boot.kernel_cmdline) || settings.pacman.is_files();
    Ok(known.awaits && simulated && !reboot::is_awaited(settings)?)
}

pub(crate) fn booted(path: &Path, sysroot: &Sysroot) -> Result<Option<DeploymentId>> {
    let finding = "find the booted deployment";
    if path.as_os_str().is_empty() {
        // Nothing of this sysroot is booted: what would be stands for it.
        let list = sysroot.deployments().map_err(Error::below(finding))?;
        return Ok(list.into_iter().next().map(|deployment| deployment.id));
    }
    // Who made the deployment the root says which one it is; no switch changes that.
    if is_real(path)
        && let Some(running) = sysroot.running().map_err(Error::below(finding))?
    {
        return Ok(Some(running));
    }
    let cmdline = match read(path) {
        Ok(text) => text,
        // A simulated device that never booted.
        Err(Error::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound && !is_real(path) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let booted = sysroot.booted(cmdline.trim()).map_err(Error::below(finding))?;
    if booted.is_none() && sysroot.path() == Path::new("/") {
        return Err(Error::Boot {
            problem: format!("{} names no `ostree=` deployment", path.display()),
        });
    }
    Ok(booted)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
