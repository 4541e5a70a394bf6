//! A state that another program kept, becoming ours in one transaction.

use jiff::Timestamp;
use rusqlite::Transaction;
use updraft_tuf::{Repository, RoleName};

use super::metadata::{put, remember_root};
use super::number::Number;
use super::update::queue;
use super::{EcuRecord, IdentityRecord, Store, Update};
use crate::Result;

/// Everything that is taken over.
#[derive(Debug)]
pub(crate) struct Takeover {
    pub(crate) identity: IdentityRecord,
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
            queue(transaction, &from.events)
        })?;
        Ok(true)
    }
}

fn identity(transaction: &Transaction<'_>, from: &Takeover) -> rusqlite::Result<()> {
    let Takeover { identity, ecu, .. } = from;
    transaction.execute(
        "INSERT INTO identity
         (id, device_id, private_key_pem, request_pem, certificate_pem, ca_pem, server)
         VALUES (1, ?1, ?2, NULL, ?3, ?4, ?5)",
        (
            &identity.device_id,
            &identity.private_key_pem,
            &identity.certificate_pem,
            &identity.ca_pem,
            &identity.server,
        ),
    )?;
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
