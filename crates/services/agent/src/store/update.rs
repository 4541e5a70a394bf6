//! The update in progress, what was installed, and what failed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};
use serde::Serialize;

use crate::store::Store;
use crate::store::number::Number;
use crate::{Error, Result};

/// Rows kept of what was installed and of what failed.
const HISTORY: u32 = 100;

/// How far the update in progress is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Its objects are being fetched.
    Fetching,
    /// All objects are there, and the commit is the right one.
    Fetched,
    /// It is being deployed; the running system is untouched.
    Installing,
    /// It is what boots next, and the reboot was asked for.
    Rebooting,
    /// It did not pass its health checks; the previous deployment boots next.
    Returning,
}

impl Stage {
    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Fetched => "fetched",
            Self::Installing => "installing",
            Self::Rebooting => "rebooting",
            Self::Returning => "returning",
        }
    }

    /// Whether it goes on after a reboot only.
    pub fn waits_for_reboot(self) -> bool {
        matches!(self, Self::Rebooting | Self::Returning)
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Fetching, Self::Fetched, Self::Installing, Self::Rebooting, Self::Returning]
            .into_iter()
            .find(|stage| stage.name() == name)
    }
}

/// The update in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Update {
    /// The target's name.
    pub filepath: String,
    /// The target's SHA-256, which is the commit, as 64 hexadecimal digits.
    pub sha256: String,
    /// The target's length in bytes; 0 for a commit.
    pub length: u64,
    /// The target's release counter, if it has one.
    pub release_counter: Option<u64>,
    /// The server's name for the assignment; may be empty.
    pub correlation_id: String,
    /// How far it is.
    pub stage: Stage,
    /// The commit that was booted before, 64 hexadecimal digits.
    pub previous: Option<String>,
    /// How often its current stage was tried without success.
    pub attempts: u32,
    /// Why it is being taken back.
    pub reason: Option<String>,
}

/// Something that was booted and confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The target's name.
    pub filepath: String,
    /// The target's SHA-256: the commit.
    pub sha256: String,
    /// The target's length in bytes; 0 for a commit.
    pub length: u64,
    /// The target's release counter, if it has one.
    pub release_counter: Option<u64>,
    /// The server's name for the assignment; may be empty.
    pub correlation_id: String,
    /// When it was confirmed.
    pub confirmed_at: String,
}

/// A target that is not tried again under the same assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The target's name.
    pub filepath: String,
    /// The target's SHA-256: the commit.
    pub sha256: String,
    /// The server's name for the assignment; may be empty.
    pub correlation_id: String,
    /// The result code that was reported.
    pub code: String,
    /// Why it failed, for people.
    pub reason: String,
    /// When.
    pub failed_at: String,
}

impl Store {
    /// The update in progress.
    pub fn update(&self) -> Result<Option<Update>> {
        let found = self.read(|connection| {
            connection
                .query_row(
                    "SELECT filepath, sha256, length, release_counter, correlation_id, stage,
                            previous, attempts, reason
                     FROM \"update\"",
                    [],
                    |row| Ok((update_of(row)?, row.get::<_, String>(5)?)),
                )
                .optional()
        })?;
        found
            .map(|(update, stage)| {
                let stage = Stage::of_name(&stage)
                    .ok_or(Error::Damaged { what: "the stage of the update in progress" })?;
                Ok(Update { stage, ..update })
            })
            .transpose()
    }

    /// Makes this the update in progress, or says how far it is. `events` are queued with it.
    pub fn set_update(&self, update: &Update, events: &[String]) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO \"update\"
                 (id, filepath, sha256, length, release_counter, correlation_id, stage, previous,
                  attempts, reason)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                (
                    &update.filepath,
                    &update.sha256,
                    Number(update.length),
                    update.release_counter.map(Number),
                    &update.correlation_id,
                    update.stage.name(),
                    &update.previous,
                    update.attempts,
                    &update.reason,
                ),
            )?;
            queue(transaction, events)
        })
    }

    /// Drops an update that the server takes back before it was installed.
    pub fn drop_update(&self) -> Result<()> {
        self.change(|transaction| {
            transaction.execute_batch("DELETE FROM \"update\"; DELETE FROM journal;")
        })
    }

    /// The update is installed, booted and healthy: it becomes what this device runs.
    pub fn confirm(
        &self,
        update: &Update,
        now: Timestamp,
        report: &str,
        events: &[String],
    ) -> Result<()> {
        self.change(|transaction| {
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
            transaction.execute(
                "DELETE FROM installed
                 WHERE number <= (SELECT max(number) FROM installed) - ?1",
                [HISTORY],
            )?;
            transaction.execute("DELETE FROM failed WHERE sha256 = ?1", [&update.sha256])?;
            finish(transaction, report, events)
        })
    }

    /// The update failed for good; the report about it waits for the server.
    pub fn fail(&self, failed: &Failed, report: &str, events: &[String]) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO failed
                 (sha256, correlation_id, filepath, code, reason, failed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    &failed.sha256,
                    &failed.correlation_id,
                    &failed.filepath,
                    &failed.code,
                    &failed.reason,
                    &failed.failed_at,
                ),
            )?;
            transaction.execute(
                "DELETE FROM failed WHERE failed_at <
                 (SELECT min(failed_at) FROM
                  (SELECT failed_at FROM failed ORDER BY failed_at DESC LIMIT ?1))",
                [HISTORY],
            )?;
            finish(transaction, report, events)
        })
    }

    /// What was confirmed last.
    pub fn installed(&self) -> Result<Option<Installed>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT filepath, sha256, length, release_counter, correlation_id, confirmed_at
                     FROM installed ORDER BY number DESC LIMIT 1",
                    [],
                    installed_of,
                )
                .optional()
        })
    }

    /// What was confirmed last with this commit.
    pub fn installed_with(&self, sha256: &str) -> Result<Option<Installed>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT filepath, sha256, length, release_counter, correlation_id, confirmed_at
                     FROM installed WHERE sha256 = ?1 ORDER BY number DESC LIMIT 1",
                    [sha256],
                    installed_of,
                )
                .optional()
        })
    }

    /// Targets that are not tried again, newest first.
    pub fn failures(&self) -> Result<Vec<Failed>> {
        self.read(failures)
    }

    /// The failure of this target under this assignment.
    pub fn failure_of(&self, sha256: &str, correlation_id: &str) -> Result<Option<Failed>> {
        let failures = self.failures()?;
        Ok(failures
            .into_iter()
            .find(|failed| failed.sha256 == sha256 && failed.correlation_id == correlation_id))
    }

    /// Lets failed targets be tried again.
    pub fn forget_failures(&self) -> Result<()> {
        self.change(|transaction| transaction.execute_batch("DELETE FROM failed"))
    }
}

/// Appends events; the oldest go when there are too many.
pub(super) fn queue(transaction: &Transaction<'_>, events: &[String]) -> rusqlite::Result<()> {
    for event in events {
        transaction.execute("INSERT INTO event (json) VALUES (?1)", [event])?;
    }
    transaction.execute(
        "DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?1",
        [super::outbox::MAX_EVENTS],
    )?;
    Ok(())
}

fn finish(transaction: &Transaction<'_>, report: &str, events: &[String]) -> rusqlite::Result<()> {
    transaction.execute_batch("DELETE FROM \"update\"; DELETE FROM journal;")?;
    transaction.execute("INSERT OR REPLACE INTO report (id, json) VALUES (1, ?1)", [report])?;
    queue(transaction, events)
}

fn update_of(row: &Row<'_>) -> rusqlite::Result<Update> {
    Ok(Update {
        filepath: row.get(0)?,
        sha256: row.get(1)?,
        length: row.get::<_, Number>(2)?.0,
        release_counter: row.get::<_, Option<Number>>(3)?.map(|counter| counter.0),
        correlation_id: row.get(4)?,
        stage: Stage::Fetching,
        previous: row.get(6)?,
        attempts: row.get(7)?,
        reason: row.get(8)?,
    })
}

fn installed_of(row: &Row<'_>) -> rusqlite::Result<Installed> {
    Ok(Installed {
        filepath: row.get(0)?,
        sha256: row.get(1)?,
        length: row.get::<_, Number>(2)?.0,
        release_counter: row.get::<_, Option<Number>>(3)?.map(|counter| counter.0),
        correlation_id: row.get(4)?,
        confirmed_at: row.get(5)?,
    })
}

fn failures(connection: &Connection) -> rusqlite::Result<Vec<Failed>> {
    connection
        .prepare(
            "SELECT filepath, sha256, correlation_id, code, reason, failed_at
             FROM failed ORDER BY failed_at DESC",
        )?
        .query_map([], |row| {
            Ok(Failed {
                filepath: row.get(0)?,
                sha256: row.get(1)?,
                correlation_id: row.get(2)?,
                code: row.get(3)?,
                reason: row.get(4)?,
                failed_at: row.get(5)?,
            })
        })?
        .collect()
}
