//! What waits to be sent: events, the installation report, the report counter, device data.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use serde::Serialize;

use crate::Result;
use crate::store::Store;
use crate::store::number::Number;
use crate::store::update::queue;

/// Events kept while the server is not reachable; then the oldest are dropped.
pub(super) const MAX_EVENTS: u32 = 2000;

/// One event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Its place in the queue.
    pub number: i64,
    /// The event as JSON.
    pub json: String,
}

/// The last contact with the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// When it was tried.
    pub checked_at: String,
    /// When it last succeeded.
    pub reached_at: Option<String>,
    /// What went wrong the last time it was tried.
    pub problem: Option<String>,
}

impl Store {
    /// Appends events to the queue.
    pub fn queue_events(&self, events: &[String]) -> Result<()> {
        self.change(|transaction| queue(transaction, events))
    }

    /// The oldest events, at most `limit`.
    pub fn queued_events(&self, limit: u32) -> Result<Vec<QueuedEvent>> {
        self.read(|connection| {
            connection
                .prepare("SELECT number, json FROM event ORDER BY number LIMIT ?1")?
                .query_map([limit], |row| {
                    Ok(QueuedEvent { number: row.get(0)?, json: row.get(1)? })
                })?
                .collect()
        })
    }

    /// How many events wait.
    pub fn count_events(&self) -> Result<u64> {
        self.read(|connection| {
            connection
                .query_row("SELECT count(*) FROM event", [], |row| Ok(row.get::<_, Number>(0)?.0))
        })
    }

    /// Removes events up to this number: the server has them.
    pub fn remove_events(&self, up_to: i64) -> Result<()> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM event WHERE number <= ?1", [up_to])?;
            Ok(())
        })
    }

    /// The installation report that the server has not taken yet.
    pub fn report(&self) -> Result<Option<String>> {
        self.read(|connection| {
            connection.query_row("SELECT json FROM report", [], |row| row.get(0)).optional()
        })
    }

    /// Puts another text in the place of the report that waits. `false`: none does.
    pub fn change_report(&self, report: &str) -> Result<bool> {
        self.change(|transaction| {
            Ok(transaction.execute("UPDATE report SET json = ?1", [report])? > 0)
        })
    }

    /// The server has taken this report.
    pub fn remove_report(&self, report: &str) -> Result<()> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM report WHERE json = ?1", [report])?;
            Ok(())
        })
    }

    /// The next value of the report counter; no value is ever given out twice.
    pub fn next_report_counter(&self) -> Result<u64> {
        self.change(|transaction| {
            transaction.query_row(
                "INSERT INTO counter (name, value) VALUES ('report', 1)
                 ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                [],
                |row| Ok(row.get::<_, Number>(0)?.0),
            )
        })
    }

    /// The hash of what the server was sent last under this name.
    pub fn sent_hash(&self, what: &str) -> Result<Option<String>> {
        self.read(|connection| {
            connection
                .query_row("SELECT sha256 FROM sent WHERE what = ?1", [what], |row| row.get(0))
                .optional()
        })
    }

    /// Remembers the hash of what the server was sent.
    pub fn set_sent_hash(&self, what: &str, sha256: &str) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO sent (what, sha256) VALUES (?1, ?2)",
                (what, sha256),
            )?;
            Ok(())
        })
    }

    /// The last contact with the server.
    pub fn contact(&self) -> Result<Option<Contact>> {
        self.read(|connection| {
            connection
                .query_row("SELECT checked_at, reached_at, problem FROM contact", [], |row| {
                    Ok(Contact {
                        checked_at: row.get(0)?,
                        reached_at: row.get(1)?,
                        problem: row.get(2)?,
                    })
                })
                .optional()
        })
    }

    /// Remembers how the last check went.
    pub fn set_contact(&self, now: Timestamp, problem: Option<&str>) -> Result<()> {
        let now = now.to_string();
        let reached = problem.is_none().then_some(&now);
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO contact (id, checked_at, reached_at, problem) VALUES (1, ?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET
                 checked_at = ?1, reached_at = coalesce(?2, reached_at), problem = ?3",
                (&now, reached, problem),
            )?;
            Ok(())
        })
    }
}
