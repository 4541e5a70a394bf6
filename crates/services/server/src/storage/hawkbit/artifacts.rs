//! The files of software modules.

use updraft_hawkbit::ddi::Hashes;
use updraft_hawkbit::management::Artifact;

use super::super::values;
use super::{By, stamp};
use crate::error::{Error, Result};
use crate::storage::sql::{self, Connection, OptionalExtension as _, Row, Transaction, params};

/// What was uploaded.
#[derive(Debug, Clone)]
pub struct ArtifactValues {
    /// Its name.
    pub filename: String,
    /// In bytes.
    pub size: u64,
    /// What it is.
    pub hashes: Hashes,
}

/// Adds a file; gives its number.
pub fn insert(tx: &Transaction<'_>, module: i64, new: &ArtifactValues, by: By<'_>) -> Result<i64> {
    let inserted = tx.insert(
        "INSERT INTO artifacts (module, filename, size, md5, sha1, sha256, created_by, created_at,
             modified_by, modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8)",
        params![
            module,
            new.filename,
            values::stored(new.size),
            new.hashes.md5,
            new.hashes.sha1,
            new.hashes.sha256,
            by.actor,
            by.millis()
        ],
    );
    match inserted {
        Ok(id) => Ok(id),
        Err(error) if error.is_duplicate() => Err(Error::Conflict {
            code: "artifact_exists",
            action: format!("add the artifact {}", new.filename),
            reason: "the module has one of this name".to_owned(),
        }),
        Err(error) => Err(Error::database("add an artifact")(error)),
    }
}

/// The files of a module, by number.
pub fn of_module(connection: &Connection, module: i64) -> Result<Vec<Artifact>> {
    let failed = |error| Error::database("read a module's artifacts")(error);
    let mut statement = connection
        .prepare_cached("SELECT * FROM artifacts WHERE module = ?1 ORDER BY id")
        .map_err(failed)?;
    let rows = statement.query_map([module], read).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// One file of a module by its number.
pub fn get(connection: &Connection, module: i64, id: i64) -> Result<Option<Artifact>> {
    connection
        .prepare_cached("SELECT * FROM artifacts WHERE module = ?1 AND id = ?2")
        .and_then(|mut statement| statement.query_row([module, id], read).optional())
        .map_err(Error::database("read an artifact"))
}

/// One file of a module by its name.
pub fn by_name(connection: &Connection, module: i64, filename: &str) -> Result<Option<Artifact>> {
    connection
        .prepare_cached("SELECT * FROM artifacts WHERE module = ?1 AND filename = ?2")
        .and_then(|mut statement| statement.query_row(params![module, filename], read).optional())
        .map_err(Error::database("read an artifact"))
}

/// Removes a file from its module. The content stays, for others may have it.
pub fn remove(tx: &Transaction<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM artifacts WHERE id = ?1", [id])
        .map_err(Error::database("remove an artifact"))?;
    Ok(())
}

fn read(row: &Row<'_>) -> sql::Result<Artifact> {
    Ok(Artifact {
        stamp: stamp(row)?,
        id: row.get("id")?,
        hashes: Hashes { sha1: row.get("sha1")?, md5: row.get("md5")?, sha256: row.get("sha256")? },
        provided_filename: row.get("filename")?,
        size: values::count(row.get("size")?),
    })
}
