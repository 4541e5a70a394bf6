//! The other ECUs of the vehicle, and their part in the update.

use rusqlite::{OptionalExtension as _, Row, Transaction};

use crate::Result;
use crate::store::number::Number;
use crate::store::update::queue;
use crate::store::{Milestone, Store};

/// A secondary as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondaryRecord {
    /// Where the configuration has it.
    pub slot: String,
    /// Its serial.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// Its public key, as JSON.
    pub key: String,
    /// Whether the server knows it.
    pub registered: bool,
    /// Its last signed report.
    pub manifest: Option<Vec<u8>>,
    /// The counter of its last report that the server took.
    pub sent_counter: Option<u64>,
    /// What it reported last: the target's name, its SHA-256 and its length.
    pub running: Option<(String, String, u64)>,
    /// The SHA-256 of what was installed and confirmed last, and its release counter.
    pub confirmed: Option<(String, Option<u64>)>,
    /// What a program remembered with it.
    pub data: Option<String>,
}

/// A secondary's part in the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatePart {
    /// The ECU.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// The target's name.
    pub filepath: String,
    /// The target's SHA-256.
    pub sha256: String,
    /// The target's length in bytes.
    pub length: u64,
    /// The target's release counter, if it has one.
    pub release_counter: Option<u64>,
}

impl Store {
    /// All secondaries, by their serials.
    pub fn secondaries(&self) -> Result<Vec<SecondaryRecord>> {
        self.read(|connection| {
            connection
                .prepare(
                    "SELECT slot, serial, hardware_id, key, registered, manifest, sent_counter,
                     filepath, sha256, length, confirmed_sha256, release_counter, data
                     FROM secondary ORDER BY serial",
                )?
                .query_map([], record_of)?
                .collect()
        })
    }

    /// Remembers who is at a place. Another one than before is not registered and has reported
    /// nothing.
    pub fn put_secondary(
        &self,
        slot: &str,
        serial: &str,
        hardware_id: &str,
        key: &str,
    ) -> Result<()> {
        self.change(|transaction| {
            transaction
                .execute("DELETE FROM secondary WHERE slot = ?1 OR serial = ?2", (slot, serial))?;
            transaction.execute("DELETE FROM misconfigured_ecu WHERE serial = ?1", [serial])?;
            transaction.execute(
                "INSERT INTO secondary (slot, serial, hardware_id, key) VALUES (?1, ?2, ?3, ?4)",
                (slot, serial, hardware_id, key),
            )?;
            Ok(())
        })
    }

    /// Forgets secondaries that are configured no longer.
    pub fn keep_secondaries(&self, slots: &[String]) -> Result<()> {
        let gone: Vec<String> = self
            .secondaries()?
            .into_iter()
            .map(|record| record.slot)
            .filter(|slot| !slots.contains(slot))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.change(|transaction| {
            gone.iter().try_for_each(|slot| {
                transaction.execute(
                    "INSERT OR REPLACE INTO misconfigured_ecu (serial, hardware_id, removed)
                     SELECT serial, hardware_id, 1 FROM secondary WHERE slot = ?1",
                    [slot],
                )?;
                transaction.execute("DELETE FROM secondary WHERE slot = ?1", [slot]).map(drop)
            })
        })
    }

    /// Serial and hardware id of ECUs that were removed from the configuration (`true`), or never
    /// registered.
    pub fn misconfigured_ecus(&self) -> Result<Vec<(String, String, bool)>> {
        self.read(|connection| {
            connection
                .prepare(
                    "SELECT serial, hardware_id, removed FROM misconfigured_ecu ORDER BY serial",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })
    }

    /// The server knows all secondaries now; `list` names what it was told.
    pub fn secondaries_registered(&self, list: &str) -> Result<()> {
        self.change(|transaction| {
            transaction.execute("UPDATE secondary SET registered = 1", [])?;
            transaction.execute(
                "INSERT OR REPLACE INTO sent (what, sha256) VALUES ('ecus', ?1)",
                [list],
            )?;
            Ok(())
        })
    }

    /// The server is about to be told of the primary alone.
    pub fn secondaries_unregistered(&self) -> Result<()> {
        self.change(|transaction| {
            transaction.execute_batch(
                "UPDATE secondary SET registered = 0, sent_counter = NULL;
                 DELETE FROM sent WHERE what = 'ecus';",
            )
        })
    }

    /// A secondary reported.
    pub fn set_secondary_report(
        &self,
        serial: &str,
        manifest: &[u8],
        (filepath, sha256, length): (&str, &str, u64),
    ) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "UPDATE secondary SET manifest = ?2, filepath = ?3, sha256 = ?4, length = ?5
                 WHERE serial = ?1",
                (serial, manifest, filepath, sha256, Number(length)),
            )?;
            Ok(())
        })
    }

    /// Remembers a program's text with a secondary. `false`: there is none with this serial.
    pub fn set_secondary_data(&self, serial: &str, data: &str) -> Result<bool> {
        self.change(|transaction| {
            let statement = "UPDATE secondary SET data = ?2 WHERE serial = ?1";
            Ok(transaction.execute(statement, (serial, data))? > 0)
        })
    }

    /// The server took a secondary's report with this counter.
    pub fn set_sent_counter(&self, serial: &str, counter: u64) -> Result<()> {
        self.change(|transaction| {
            transaction.execute(
                "UPDATE secondary SET sent_counter = ?2 WHERE serial = ?1",
                (serial, Number(counter)),
            )?;
            Ok(())
        })
    }

    /// The secondaries' parts in the update.
    pub fn update_parts(&self) -> Result<Vec<UpdatePart>> {
        self.read(|connection| {
            connection
                .prepare(
                    "SELECT serial, hardware_id, filepath, sha256, length, release_counter
                     FROM update_part ORDER BY serial",
                )?
                .query_map([], part_of)?
                .collect()
        })
    }

    /// One of them.
    pub fn update_part(&self, serial: &str) -> Result<Option<UpdatePart>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT serial, hardware_id, filepath, sha256, length, release_counter
                     FROM update_part WHERE serial = ?1",
                    [serial],
                    part_of,
                )
                .optional()
        })
    }

    /// A part of the update has come this far; `events` say so, once.
    pub fn reach_part(&self, serial: &str, milestone: Milestone, events: &[String]) -> Result<()> {
        let statement = match milestone {
            Milestone::Downloaded => {
                "UPDATE update_part SET downloaded = 1 WHERE serial = ?1 AND downloaded = 0"
            }
            Milestone::Started => {
                "UPDATE update_part SET started = 1 WHERE serial = ?1 AND started = 0"
            }
            Milestone::Applied => {
                "UPDATE update_part SET applied = 1 WHERE serial = ?1 AND applied = 0"
            }
        };
        self.change(|transaction| {
            let changed = transaction.execute(statement, [serial])?;
            if changed > 0 { queue(transaction, events) } else { Ok(()) }
        })
    }
}

pub(super) fn begin_parts(
    transaction: &Transaction<'_>,
    parts: &[UpdatePart],
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM update_part", [])?;
    for part in parts {
        transaction.execute(
            "INSERT INTO update_part
             (serial, hardware_id, filepath, sha256, length, release_counter)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                &part.serial,
                &part.hardware_id,
                &part.filepath,
                &part.sha256,
                Number(part.length),
                part.release_counter.map(Number),
            ),
        )?;
    }
    Ok(())
}

/// Every part runs what it was to run.
pub(super) fn confirm_parts(
    transaction: &Transaction<'_>,
    parts: &[UpdatePart],
) -> rusqlite::Result<()> {
    for part in parts {
        transaction.execute(
            "UPDATE secondary SET confirmed_sha256 = ?2, release_counter = ?3, filepath = ?4,
             sha256 = ?2, length = ?5 WHERE serial = ?1",
            (
                &part.serial,
                &part.sha256,
                part.release_counter.map(Number),
                &part.filepath,
                Number(part.length),
            ),
        )?;
    }
    Ok(())
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<SecondaryRecord> {
    let number = |index| row.get::<_, Option<Number>>(index).map(|it| it.map(|number| number.0));
    let (filepath, sha256): (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
    let confirmed: Option<String> = row.get(10)?;
    Ok(SecondaryRecord {
        slot: row.get(0)?,
        serial: row.get(1)?,
        hardware_id: row.get(2)?,
        key: row.get(3)?,
        registered: row.get(4)?,
        manifest: row.get(5)?,
        sent_counter: number(6)?,
        running: match (filepath, sha256) {
            (Some(filepath), Some(sha256)) => Some((filepath, sha256, number(9)?.unwrap_or(0))),
            _ => None,
        },
        confirmed: match confirmed {
            Some(sha256) => Some((sha256, number(11)?)),
            None => None,
        },
        data: row.get(12)?,
    })
}

fn part_of(row: &Row<'_>) -> rusqlite::Result<UpdatePart> {
    Ok(UpdatePart {
        serial: row.get(0)?,
        hardware_id: row.get(1)?,
        filepath: row.get(2)?,
        sha256: row.get(3)?,
        length: row.get::<_, Number>(4)?.0,
        release_counter: row.get::<_, Option<Number>>(5)?.map(|counter| counter.0),
    })
}
