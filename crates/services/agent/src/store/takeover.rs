//! A state that another program kept, becoming ours in one transaction.

use jiff::Timestamp;
use rusqlite::Transaction;
use updraft_tuf::{Repository, RoleName};

use super::identity::put as put_identity;
use super::lite::{mark_failing, remember};
use super::metadata::{put, remember_root};
use super::number::Number;
use super::secondary::begin_parts;
use super::update::queue;
use super::{
    BootRecord, EcuRecord, Failed, IdentityRecord, SecondaryRecord, Shares, Store, Update,
};
use crate::Result;

/// Everything that is taken over.
#[derive(Debug)]
pub(crate) struct Takeover {
    /// Who the device is to a server; `None`: to none.
    pub(crate) identity: Option<IdentityRecord>,
    pub(crate) ecu: EcuRecord,
    /// Verified roots and what they vouch for, as files.
    pub(crate) metadata: Vec<(Repository, RoleName, Vec<u8>)>,
    /// Roots that were trusted, by their versions.
    pub(crate) roots: Vec<(Repository, u64, Vec<u8>)>,
    /// What was installed, the current one last; empty when that is not known.
    pub(crate) installed: Vec<Update>,
    /// The last report counter that was used.
    pub(crate) report_counter: u64,
    /// Events that the server has not taken.
    pub(crate) events: Vec<String>,
    /// The installation report that the server has not taken, as the state keeps it.
    pub(crate) report: Option<String>,
    /// Custom fields of targets, as JSON objects.
    pub(crate) custom: Vec<(Update, String)>,
    /// What is not to be installed by itself again.
    pub(crate) failed: Vec<Failed>,
    /// The other ECUs.
    pub(crate) secondaries: Vec<SecondaryRecord>,
    /// The hash of the list of ECUs that the server was told.
    pub(crate) ecus_sent: Option<String>,
    /// Serial and hardware id of ECUs that were removed (`true`) or never registered.
    pub(crate) misconfigured: Vec<(String, String, bool)>,
    /// What waits for its reboot.
    pub(crate) pending: Option<Pending>,
}

/// An installation that a reboot completes.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) update: Update,
    pub(crate) shares: Shares,
    /// The engine's record of it.
    pub(crate) record: Vec<u8>,
    /// The boot in which the reboot was asked for. `None`: it has happened.
    pub(crate) boot: Option<BootRecord>,
    /// Whether the primary's targets are files.
    pub(crate) files: bool,
}

impl Store {
    /// Takes a state over. Nothing happens when there is an identity already: it is done once.
    pub(crate) fn take_over(&self, from: &Takeover, now: Timestamp) -> Result<bool> {
        if self.identity()?.is_some() || self.ecu()?.is_some() {
            return Ok(false);
        }
        // Commit point of the move: one transaction for all of it.
        self.change(|transaction| {
            identity(transaction, from)?;
            for (repository, role, bytes) in &from.metadata {
                put(transaction, *repository, role, bytes)?;
            }
            for (repository, version, bytes) in &from.roots {
                remember_root(transaction, *repository, *version, bytes)?;
            }
            installed(transaction, &from.installed, now)?;
            transaction.execute(
                "INSERT OR REPLACE INTO counter (name, value) VALUES ('report', ?1)",
                [Number(from.report_counter)],
            )?;
            if let Some(report) = &from.report {
                transaction
                    .execute("INSERT OR REPLACE INTO report (id, json) VALUES (1, ?1)", [report])?;
            }
            for (update, custom) in &from.custom {
                remember(transaction, update, custom)?;
            }
            for failed in &from.failed {
                mark_failing(transaction, failed)?;
            }
            secondaries(transaction, from)?;
            if let Some(pending) = &from.pending {
                await_reboot(transaction, pending, from)?;
            }
            queue(transaction, &from.events)
        })?;
        Ok(true)
    }
}

fn identity(transaction: &Transaction<'_>, from: &Takeover) -> rusqlite::Result<()> {
    let Takeover { identity, ecu, .. } = from;
    if let Some(identity) = identity {
        put_identity(transaction, identity)?;
    }
    transaction.execute(
        "INSERT INTO ecu (id, serial, hardware_id, private_key_pem, registered)
         VALUES (1, ?1, ?2, ?3, ?4)",
        (&ecu.serial, &ecu.hardware_id, &ecu.private_key_pem, ecu.registered),
    )?;
    Ok(())
}

fn installed(
    transaction: &Transaction<'_>,
    list: &[Update],
    now: Timestamp,
) -> rusqlite::Result<()> {
    for update in list {
        transaction.execute(
            "INSERT INTO installed
             (filepath, sha256, length, release_counter, correlation_id, confirmed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                &update.filepath,
                &update.sha256,
                Number(update.length),
                update.release_counter.map(Number),
                &update.correlation_id,
                now.to_string(),
            ),
        )?;
    }
    Ok(())
}

fn secondaries(transaction: &Transaction<'_>, from: &Takeover) -> rusqlite::Result<()> {
    for record in &from.secondaries {
        let (filepath, sha256, length) = record.running.clone().map_or_else(
            || (None, None, None),
            |(filepath, sha256, length)| (Some(filepath), Some(sha256), Some(Number(length))),
        );
        let (confirmed, counter) = record.confirmed.clone().unzip();
        transaction.execute(
            "INSERT INTO secondary
             (slot, serial, hardware_id, key, registered, manifest, filepath, sha256, length,
              confirmed_sha256, release_counter, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            (
                &record.slot,
                &record.serial,
                &record.hardware_id,
                &record.key,
                record.registered,
                &record.manifest,
                filepath,
                sha256,
                length,
                confirmed,
                counter.flatten().map(Number),
                &record.data,
            ),
        )?;
    }
    for (serial, hardware_id, removed) in &from.misconfigured {
        transaction.execute(
            "INSERT OR REPLACE INTO misconfigured_ecu (serial, hardware_id, removed)
             VALUES (?1, ?2, ?3)",
            (serial, hardware_id, removed),
        )?;
    }
    if let Some(list) = &from.ecus_sent {
        transaction
            .execute("INSERT OR REPLACE INTO sent (what, sha256) VALUES ('ecus', ?1)", [list])?;
    }
    Ok(())
}

fn await_reboot(
    transaction: &Transaction<'_>,
    pending: &Pending,
    from: &Takeover,
) -> rusqlite::Result<()> {
    let Pending { update, shares, record, boot, files } = pending;
    begin_parts(transaction, &shares.parts)?;
    // aktualizr has told the server of all that came before the reboot.
    transaction.execute(
        "INSERT INTO \"update\"
         (id, filepath, sha256, length, release_counter, correlation_id, of_primary, downloaded,
          started, applied)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, 1, 1, 1)",
        (
            &update.filepath,
            &update.sha256,
            Number(update.length),
            update.release_counter.map(Number),
            &update.correlation_id,
            shares.of_primary,
        ),
    )?;
    transaction.execute("UPDATE update_part SET downloaded = 1, started = 1, applied = 1", [])?;
    transaction.execute("INSERT INTO journal (id, record) VALUES (1, ?1)", [record])?;
    if let Some(boot) = boot {
        transaction.execute(
            "INSERT OR REPLACE INTO boot (id, session, awaits, booted) VALUES (1, ?1, ?2, ?3)",
            (&boot.session, boot.awaits, &boot.booted),
        )?;
    }
    if *files {
        let current = from.installed.last().map(|it| ("running", it));
        for (place, image) in current.into_iter().chain([("next", update)]) {
            transaction.execute(
                "INSERT INTO file_image (ecu, place, filepath, sha256) VALUES (?1, ?2, ?3, ?4)",
                (&from.ecu.serial, place, &image.filepath, &image.sha256),
            )?;
        }
    }
    Ok(())
}
