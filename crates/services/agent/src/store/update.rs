//! The update in progress, what was installed, and what failed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};
use serde::Serialize;

use crate::Result;
use crate::store::number::Number;
use crate::store::secondary::{begin_parts, confirm_parts};
use crate::store::{Store, UpdatePart};

/// Rows kept of what was installed and of what failed.
pub(super) const HISTORY: u32 = 100;

/// The target that the transaction in the journal is about.
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
}

/// Whose targets an update has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// Whether the primary has one: then the update is named after it.
    pub of_primary: bool,
    /// Those of secondaries.
    pub parts: Vec<UpdatePart>,
}

/// How far an update has come, as the server is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// All objects are on the device.
    Downloaded,
    /// It is being put in place.
    Started,
    /// It is what boots next.
    Applied,
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
    /// The target that the transaction in the journal is about.
    pub fn update(&self) -> Result<Option<Update>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT filepath, sha256, length, release_counter, correlation_id
                     FROM \"update\"",
                    [],
                    update_of,
                )
                .optional()
        })
    }

    /// Whose targets the update in progress has.
    pub fn shares(&self) -> Result<Shares> {
        let of_primary = self.read(|connection| {
            connection
                .query_row("SELECT of_primary FROM \"update\"", [], |row| row.get(0))
                .optional()
        })?;
        Ok(Shares { of_primary: of_primary.unwrap_or(true), parts: self.update_parts()? })
    }

    /// A transaction about this target is about to begin; `events` say so.
    pub fn begin_update(&self, update: &Update, shares: &Shares, events: &[String]) -> Result<()> {
        self.change(|transaction| {
            begin_parts(transaction, &shares.parts)?;
            transaction.execute(
                "INSERT OR REPLACE INTO \"update\"
                 (id, filepath, sha256, length, release_counter, correlation_id, of_primary)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    &update.filepath,
                    &update.sha256,
                    Number(update.length),
                    update.release_counter.map(Number),
                    &update.correlation_id,
                    shares.of_primary,
                ),
            )?;
            queue(transaction, events)
        })?;
        self.tell(Some(update), events);
        Ok(())
    }

    /// The update has come this far; `events` say so, once for each update.
    pub fn reach(&self, milestone: Milestone, events: &[String]) -> Result<()> {
        let statement = match milestone {
            Milestone::Downloaded => "UPDATE \"update\" SET downloaded = 1 WHERE downloaded = 0",
            Milestone::Started => "UPDATE \"update\" SET started = 1 WHERE started = 0",
            Milestone::Applied => "UPDATE \"update\" SET applied = 1 WHERE applied = 0",
        };
        let changed = self.change(|transaction| {
            let changed = transaction.execute(statement, [])?;
            if changed > 0 {
                queue(transaction, events)?;
            }
            Ok(changed > 0)
        })?;
        if changed {
            self.tell(None, events);
        }
        Ok(())
    }

    /// Counts one more attempt at a target that failed through no fault of its own.
    pub fn count_attempt(&self, update: &Update) -> Result<u64> {
        self.change(|transaction| {
            transaction.query_row(
                "INSERT INTO attempt (sha256, correlation_id, count) VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
                (&update.sha256, &update.correlation_id),
                |row| Ok(row.get::<_, Number>(0)?.0),
            )
        })
    }

    /// Forgets an update that changed nothing: it may begin anew.
    pub fn forget_update(&self, events: &[String]) -> Result<()> {
        self.change(|transaction| {
            transaction.execute_batch(FORGET)?;
            queue(transaction, events)
        })?;
        self.tell(None, events);
        Ok(())
    }

    /// The update is installed, booted and healthy: it becomes what this device runs.
    pub fn confirm(
        &self,
        (update, shares): (&Update, &Shares),
        now: Timestamp,
        report: &str,
        events: &[String],
    ) -> Result<()> {
        self.change(|transaction| {
            confirm_parts(transaction, &shares.parts)?;
            if !shares.of_primary {
                transaction.execute("DELETE FROM attempt", [])?;
                return finish(transaction, report, events);
            }
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
            transaction.execute("DELETE FROM attempt", [])?;
            finish(transaction, report, events)
        })?;
        self.tell(Some(update), events);
        Ok(())
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
        })?;
        self.tell(None, events);
        Ok(())
    }

    /// All that was confirmed, oldest first.
    pub fn history(&self) -> Result<Vec<Installed>> {
        self.read(|connection| {
            connection
                .prepare(
                    "SELECT filepath, sha256, length, release_counter, correlation_id, confirmed_at
                     FROM installed ORDER BY number",
                )?
                .query_map([], installed_of)?
                .collect()
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

    /// The name under which a commit was confirmed.
    pub fn name_of(&self, sha256: &str) -> Result<Option<String>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT filepath FROM installed WHERE sha256 = ?1
                     ORDER BY number DESC LIMIT 1",
                    [sha256],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// Targets that are not tried again, newest first.
    pub fn failures(&self) -> Result<Vec<Failed>> {
        self.read(failures)
    }

    /// Lets failed targets be tried again.
    pub fn forget_failures(&self) -> Result<()> {
        self.change(|transaction| {
            transaction.execute_batch("DELETE FROM failed; DELETE FROM attempt;")
        })
    }
}

pub(super) const FORGET: &str =
    "DELETE FROM \"update\"; DELETE FROM update_part; DELETE FROM journal;";

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
    transaction.execute_batch(FORGET)?;
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
    })
}

pub(super) fn installed_of(row: &Row<'_>) -> rusqlite::Result<Installed> {
    let Update { filepath, sha256, length, release_counter, correlation_id } = update_of(row)?;
    let confirmed_at = row.get(5)?;
    Ok(Installed { filepath, sha256, length, release_counter, correlation_id, confirmed_at })
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
