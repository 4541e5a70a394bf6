//! What aktualizr installed and a reboot completes: it becomes a transaction that waits for its
//! reboot, and is confirmed or taken back like any other.
//!
//! Whether the reboot has happened is told by aktualizr's sentinel, which is ours as well.

use updraft_update::{Action, ActionKind, Component, Decision, Image, Plan, Record};

use super::Tables;
use super::tables::InstalledRow;
use crate::boot::Boot;
use crate::config::Settings;
use crate::store::{
    BootRecord, Pending, SecondaryRecord, Shares, Store, Takeover, Update, UpdatePart,
};
use crate::{Error, Result, installer, reboot};

/// A token of no boot: the reboot is over.
const OVER: &str = "";

/// The transaction. `None`: nothing waits.
pub(super) fn of(
    settings: &Settings,
    store: &Store,
    tables: &Tables,
    state: &Takeover,
) -> Result<Option<Pending>> {
    let primary = state.ecu.serial.as_str();
    let pending: Vec<&InstalledRow> = tables.installed.iter().filter(|it| it.is_pending).collect();
    let of_ecu = |it: &&&InstalledRow, serial: &str| it.ecu == serial;
    let own = pending.iter().find(|it| it.ecu.is_empty() || of_ecu(it, primary)).copied();
    let others: Vec<(&SecondaryRecord, &InstalledRow)> = state
        .secondaries
        .iter()
        .filter_map(|ecu| Some((ecu, *pending.iter().find(|it| of_ecu(it, &ecu.serial))?)))
        .collect();
    let Some(update) = own.or(others.first().map(|(_, row)| *row)).map(|row| row.update.clone())
    else {
        return Ok(None);
    };
    let awaited = own.is_some() && reboot::is_awaited(settings)?;
    let boot = if awaited { Some(boot(settings, store)?) } else { None };
    let previous = state.installed.last().map(image_of).transpose()?;
    let record = record(&update, (primary, own), &others, previous, boot.as_ref())?;
    let parts = others.iter().map(|(ecu, row)| part(ecu, &row.update)).collect();
    let shares = Shares { of_primary: own.is_some(), parts };
    // Where targets are files, what comes next is remembered and nowhere to be seen.
    let files = own.is_some() && settings.pacman.is_files();
    Ok(Some(Pending { update, shares, record: record.encode(), boot, files }))
}

/// What is known about this boot, in which a reboot was asked for.
fn boot(settings: &Settings, store: &Store) -> Result<BootRecord> {
    let sysroot = installer::open_sysroot(&settings.pacman)?;
    let boot = Boot::look(settings, store, sysroot.as_ref())?;
    let booted = boot.booted.map(|id| id.to_string());
    Ok(BootRecord { session: boot.session, awaits: true, booted })
}

fn record(
    update: &Update,
    (primary, own): (&str, Option<&InstalledRow>),
    others: &[(&SecondaryRecord, &InstalledRow)],
    previous: Option<Image>,
    boot: Option<&BootRecord>,
) -> Result<Record> {
    let mut images = Vec::new();
    if let Some(row) = own {
        images.push((Component::new(primary), image_of(&row.update)?, previous));
    }
    for (ecu, row) in others {
        let before = ecu.running.as_ref().filter(|(_, sha256, _)| *sha256 != row.update.sha256);
        let before = before.map(|(name, sha256, _)| image(name, sha256)).transpose()?;
        images.push((Component::new(ecu.serial.clone()), image_of(&row.update)?, before));
    }
    let mut actions = Vec::new();
    for kind in
        [ActionKind::Activate, ActionKind::Reboot, ActionKind::CheckHealth, ActionKind::Confirm]
    {
        // The primary alone waits; what aktualizr's secondaries installed has no way back.
        let only_own = matches!(kind, ActionKind::Activate | ActionKind::Reboot);
        let meant = images.iter().filter(|(it, ..)| !only_own || it.as_str() == primary);
        actions.extend(meant.map(|(component, image, previous)| Action {
            kind,
            component: component.clone(),
            image: image.clone(),
            previous: previous.clone(),
        }));
    }
    let decisions = images
        .into_iter()
        .map(|(component, image, _)| (component, image, Decision::Update))
        .collect();
    let mut record = Record::new(Plan { id: update.correlation_id.clone(), decisions, actions });
    if own.is_some() {
        record.position = 1;
        record.reboot_token = Some(boot.map_or(OVER, |boot| &boot.session).to_owned());
    }
    Ok(record)
}

fn part(ecu: &SecondaryRecord, update: &Update) -> UpdatePart {
    UpdatePart {
        serial: ecu.serial.clone(),
        hardware_id: ecu.hardware_id.clone(),
        filepath: update.filepath.clone(),
        sha256: update.sha256.clone(),
        length: update.length,
        release_counter: update.release_counter,
    }
}

fn image_of(update: &Update) -> Result<Image> {
    image(&update.filepath, &update.sha256)
}

fn image(name: &str, sha256: &str) -> Result<Image> {
    let digest = sha256.parse().map_err(|_| Error::Damaged { what: "a target's hash" })?;
    Ok(Image { name: name.to_owned(), digest })
}
