//! What aktualizr-lite's way of updating keeps besides: the custom fields of targets, and ends of
//! updates that no Director hears of.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use crate::Result;
use crate::store::number::Number;
use crate::store::update::{FORGET, HISTORY, installed_of, queue};
use crate::store::{Failed, Installed, Store, Update};

impl Store {
    /// An update to a target with these custom fields is about to begin; `events` say so.
    pub(crate) fn lite_begin(
        &self,
        update: &Update,
        custom: &str,
        events: &[String],
    ) -> Result<()> {
        self.change(|transaction| {
            remember(transaction, update, custom)?;
            begin(transaction, update)?;
            queue(transaction, events)
        })
    }

    /// The custom fields of a target that was begun or adopted, as JSON.
    pub(crate) fn lite_custom(&self, filepath: &str, sha256: &str) -> Result<Option<String>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT custom FROM lite_target WHERE filepath = ?1 AND sha256 = ?2",
                    (filepath, sha256),
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// What runs without an update of ours gets a name.
    pub(crate) fn lite_adopt(&self, update: &Update, custom: &str, now: Timestamp) -> Result<()> {
        self.change(|transaction| {
            remember(transaction, update, custom)?;
            install(transaction, update, now)
        })
    }

    /// The update is what runs, and healthy.
    pub(crate) fn lite_confirm(
        &self,
        update: &Update,
        now: Timestamp,
        events: &[String],
    ) -> Result<()> {
        self.change(|transaction| {
            install(transaction, update, now)?;
            transaction.execute(
                "DELETE FROM failed WHERE filepath = ?1 AND sha256 = ?2",
                (&update.filepath, &update.sha256),
            )?;
            transaction.execute_batch(FORGET)?;
            queue(transaction, events)
        })
    }

    /// The target is not installed by itself again. What is in progress goes on.
    pub(crate) fn lite_fail(&self, failed: &Failed, events: &[String]) -> Result<()> {
        self.change(|transaction| {
            mark_failing(transaction, failed)?;
            queue(transaction, events)
        })
    }

    /// All that was installed and confirmed, the newest first.
    pub(crate) fn installation_log(&self) -> Result<Vec<Installed>> {
        self.read(|connection| {
            connection
                .prepare(
                    "SELECT filepath, sha256, length, release_counter, correlation_id, confirmed_at
                     FROM installed ORDER BY number DESC",
                )?
                .query_map([], installed_of)?
                .collect()
        })
    }
}

fn begin(transaction: &Transaction<'_>, update: &Update) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR REPLACE INTO \"update\" (id, filepath, sha256, length, correlation_id)
         VALUES (1, ?1, ?2, ?3, ?4)",
        (&update.filepath, &update.sha256, Number(update.length), &update.correlation_id),
    )?;
    Ok(())
}

pub(super) fn mark_failing(transaction: &Transaction<'_>, failed: &Failed) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM failed WHERE filepath = ?1 AND sha256 = ?2",
        (&failed.filepath, &failed.sha256),
    )?;
    transaction.execute(
        "INSERT INTO failed (sha256, correlation_id, filepath, code, reason, failed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET code = ?4, reason = ?5, failed_at = ?6",
        (
            &failed.sha256,
            &failed.correlation_id,
            &failed.filepath,
            &failed.code,
            &failed.reason,
            &failed.failed_at,
        ),
    )?;
    Ok(())
}

pub(super) fn remember(
    transaction: &Transaction<'_>,
    update: &Update,
    custom: &str,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO lite_target (filepath, sha256, custom) VALUES (?1, ?2, ?3)
         ON CONFLICT (filepath, sha256) DO UPDATE SET custom = ?3",
        (&update.filepath, &update.sha256, custom),
    )?;
    // As many as there may be rows that name them: installed, failed and the present one.
    transaction.execute(
        "DELETE FROM lite_target WHERE number <= (SELECT max(number) FROM lite_target) - ?1
         AND NOT EXISTS (SELECT 1 FROM installed
                         WHERE installed.filepath = lite_target.filepath
                         AND installed.sha256 = lite_target.sha256)",
        [2 * HISTORY],
    )?;
    Ok(())
}

fn install(transaction: &Transaction<'_>, update: &Update, now: Timestamp) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO installed (filepath, sha256, length, correlation_id, confirmed_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &update.filepath,
            &update.sha256,
            Number(update.length),
            &update.correlation_id,
            now.to_string(),
        ),
    )?;
    transaction.execute(
        "DELETE FROM installed WHERE number <= (SELECT max(number) FROM installed) - ?1",
        [HISTORY],
    )?;
    Ok(())
}
