//! The update engine's journal, and what is known about this boot.

use rusqlite::OptionalExtension as _;
use updraft_update::{Journal, Record, StepError};

use crate::Result;
use crate::store::Store;

/// The engine's journal in the database.
#[derive(Debug)]
pub struct StoredJournal<'a>(pub &'a Store);

impl Journal for StoredJournal<'_> {
    fn load(&mut self) -> Result<Option<Record>, StepError> {
        let bytes: Option<Vec<u8>> = self
            .0
            .read(|connection| {
                connection.query_row("SELECT record FROM journal", [], |row| row.get(0)).optional()
            })
            .map_err(StepError::new)?;
        bytes.map(|bytes| Record::decode(&bytes)).transpose().map_err(StepError::new)
    }

    fn store(&mut self, record: &Record) -> Result<(), StepError> {
        let bytes = record.encode();
        self.0
            .change(|transaction| {
                transaction
                    .execute("INSERT OR REPLACE INTO journal (id, record) VALUES (1, ?1)", [bytes])
            })
            .map_err(StepError::new)?;
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StepError> {
        self.0
            .change(|transaction| transaction.execute("DELETE FROM journal", []))
            .map_err(StepError::new)?;
        Ok(())
    }
}

/// What is known about one boot of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootRecord {
    /// Tells this boot from others.
    pub session: String,
    /// Whether a reboot was asked for in it.
    pub awaits: bool,
    /// The booted deployment, `STATEROOT COMMIT.SERIAL`.
    pub booted: Option<String>,
}

impl Store {
    /// What is known about the last boot that was seen.
    pub fn boot(&self) -> Result<Option<BootRecord>> {
        self.read(|connection| {
            connection
                .query_row("SELECT session, awaits, booted FROM boot", [], |row| {
                    Ok(BootRecord {
                        session: row.get(0)?,
                        awaits: row.get(1)?,
                        booted: row.get(2)?,
                    })
                })
                .optional()
        })
    }

    /// Remembers what is known about this boot.
    pub fn set_boot(&self, boot: &BootRecord) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO boot (id, session, awaits, booted) VALUES (1, ?1, ?2, ?3)",
                (&boot.session, boot.awaits, &boot.booted),
            )?;
            Ok(())
        })
    }
}
