//! A state that another program kept, becoming ours in one transaction.

use jiff::Timestamp;
use rusqlite::Transaction;
use updraft_tuf::{Repository, RoleName};
use updraft_update::Record;

use super::identity::put as put_identity;
use super::lite::{begin, mark_failing, remember};
use super::metadata::{put, remember_root};
use super::number::Number;
use super::update::queue;
use super::{EcuRecord, Failed, IdentityRecord, Store, Update};
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
    /// What was installed and waits to be finalized, with the transaction that does it.
    pub(crate) pending: Option<(Update, Record)>,
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
            if let Some((update, record)) = &from.pending {
                begin(transaction, update)?;
                let put = "INSERT OR REPLACE INTO journal (id, record) VALUES (1, ?1)";
                transaction.execute(put, [record.encode()])?;
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
