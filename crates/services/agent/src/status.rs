//! What is known about the device without asking the server.

use serde::Serialize;
use updraft_update::{Direction, Journal as _, Record};

use crate::boot::Boot;
use crate::config::Settings;
use crate::control::{Control, Wishes};
use crate::ostree;
use crate::store::{Contact, Failed, Installed, SecondaryRecord, Store, StoredJournal, Update};
use crate::trial::{self, CountStatus};
use crate::{Error, Result, reboot, slots};

/// `updraftd status --json`. The shape is stable; members may be added.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StatusReport {
    /// This device's id; absent until it is registered.
    pub device_id: Option<String>,
    /// The gateway's address.
    pub server: Option<String>,
    /// Whether the device has an identity and its ECU is known to the server.
    pub provisioned: bool,
    /// The primary ECU.
    pub ecu: Option<EcuStatus>,
    /// The other ECUs, by their serials.
    pub secondaries: Vec<SecondaryStatus>,
    /// The booted commit.
    pub booted: Option<String>,
    /// How tries of the booted system are counted.
    pub boot_count: Option<CountStatus>,
    /// The slots, where those are updated; as `updraft slots status --json` has them.
    pub slots: Option<updraft_slots::Overview>,
    /// Why the booted commit, or the slots, are not known.
    pub booted_problem: Option<String>,
    /// What was confirmed last.
    pub installed: Option<Installed>,
    /// The update in progress.
    pub update: Option<UpdateStatus>,
    /// Whether the device has to reboot before anything else can happen.
    pub reboot_required: bool,
    /// Targets that are not tried again, newest first.
    pub failed: Vec<Failed>,
    /// The last contact with the server.
    pub contact: Option<Contact>,
    /// Events that the server has not taken yet.
    pub events_queued: u64,
    /// Whether a report waits for the server.
    pub report_queued: bool,
    /// What people on the device said.
    pub wishes: Wishes,
}

/// The primary ECU.
#[derive(Debug, Clone, Serialize)]
pub struct EcuStatus {
    /// Its serial number.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Whether the server knows it.
    pub registered: bool,
}

/// Another ECU of the vehicle.
#[derive(Debug, Clone, Serialize)]
pub struct SecondaryStatus {
    /// Its serial number.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Whether the server knows it.
    pub registered: bool,
    /// The name of what it reported last.
    pub filepath: Option<String>,
    /// The SHA-256 of that.
    pub sha256: Option<String>,
}

/// The update in progress.
#[derive(Debug, Clone, Serialize)]
pub struct UpdateStatus {
    /// The target's name.
    pub filepath: String,
    /// The target's SHA-256: the commit.
    pub sha256: String,
    /// The server's name for the assignment; may be empty.
    pub correlation_id: String,
    /// How far it is.
    pub stage: Stage,
    /// Why it is being taken back.
    pub problem: Option<String>,
}

/// How far an update is. The names in JSON are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is being fetched and put in place.
    Installing,
    /// It is what boots next, and the reboot is awaited.
    AwaitingReboot,
    /// It is being taken back.
    Returning,
}

impl Stage {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Installing => "installing",
            Self::AwaitingReboot => "awaiting-reboot",
            Self::Returning => "returning",
        }
    }
}

/// Reads the status; an agent may be at work meanwhile.
pub(crate) fn status(settings: &Settings) -> Result<StatusReport> {
    let Some(store) = Store::open_to_read(&settings.storage)? else {
        return Ok(StatusReport::default());
    };
    let identity = store.identity()?;
    let ecu = store.ecu()?;
    let known = identity.as_ref().and_then(|identity| identity.server.as_deref());
    let addresses = crate::gateway::Addresses::new(settings, known).ok();
    let record = StoredJournal(&store).load().map_err(Error::below("read the update journal"))?;
    let awaited = record.as_ref().is_some_and(Record::awaits_reboot);
    let mut status = StatusReport {
        provisioned: identity.as_ref().is_some_and(|one| one.certificate_pem.is_some())
            && ecu.as_ref().is_some_and(|ecu| ecu.registered),
        device_id: identity.map(|identity| identity.device_id),
        server: addresses.map(|addresses| addresses.server),
        ecu: ecu.map(|ecu| EcuStatus {
            serial: ecu.serial,
            hardware_id: ecu.hardware_id,
            registered: ecu.registered,
        }),
        secondaries: store.secondaries()?.into_iter().map(secondary).collect(),
        installed: store.installed()?,
        update: store.update()?.map(|update| update_status(update, record.as_ref())),
        reboot_required: awaited,
        failed: store.failures()?,
        contact: store.contact()?,
        events_queued: store.count_events()?,
        report_queued: store.report()?.is_some(),
        wishes: Control::new(&settings.storage).wishes()?,
        ..StatusReport::default()
    };
    match booted(settings, &store) {
        Ok(Some((boot, count))) => {
            status.boot_count = count;
            status.booted = boot.booted.map(|id| id.checksum.to_hex());
            // The reboot that was asked for may have happened already.
            status.reboot_required = awaited && boot.awaits_reboot;
        }
        Ok(None) => status.reboot_required = awaited && reboot::is_awaited(settings)?,
        Err(error) => status.booted_problem = Some(error.to_string()),
    }
    if settings.pacman.is_slots() {
        match look_at_slots(settings, &store) {
            Ok((boot, overview)) => {
                status.reboot_required = awaited && boot.awaits_reboot;
                status.slots = Some(overview);
            }
            Err(error) => status.booted_problem = Some(error.to_string()),
        }
    }
    Ok(status)
}

fn look_at_slots(settings: &Settings, store: &Store) -> Result<(Boot, updraft_slots::Overview)> {
    let boot = Boot::look(settings, store, None)?;
    let overview = slots::overview(&slots::open(settings, &boot.session)?)?;
    Ok((boot, overview))
}

fn booted(settings: &Settings, store: &Store) -> Result<Option<(Boot, Option<CountStatus>)>> {
    let pacman = &settings.pacman;
    if !pacman.is_ostree() || !ostree::path(pacman).join("ostree/repo").is_dir() {
        return Ok(None);
    }
    let sysroot = ostree::open(&settings.pacman)?;
    let boot = Boot::look(settings, store, Some(&sysroot))?;
    let count = boot.booted.as_ref().and_then(|id| trial::counted(&sysroot, id));
    Ok(Some((boot, count)))
}

fn secondary(record: SecondaryRecord) -> SecondaryStatus {
    let (filepath, sha256) = match record.running {
        Some((filepath, sha256, _)) => (Some(filepath), Some(sha256)),
        None => (None, None),
    };
    SecondaryStatus {
        serial: record.serial,
        hardware_id: record.hardware_id,
        registered: record.registered,
        filepath,
        sha256,
    }
}

fn update_status(update: Update, record: Option<&Record>) -> UpdateStatus {
    let stage = match record {
        Some(record) if record.direction == Direction::Backward => Stage::Returning,
        Some(record) if record.awaits_reboot() => Stage::AwaitingReboot,
        _ => Stage::Installing,
    };
    let failure = record.and_then(|record| record.failure.as_ref());
    UpdateStatus {
        filepath: update.filepath,
        sha256: update.sha256,
        correlation_id: update.correlation_id,
        stage,
        problem: failure.map(|failure| format!("{}: {}", failure.action, failure.message)),
    }
}
