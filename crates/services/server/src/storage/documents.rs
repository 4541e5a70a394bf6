//! Small files that change, where content lies in a bucket.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::storage::sql::{Connection, OptionalExtension as _, Transaction, params};

/// What the files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Signed metadata of the Image repository, by path.
    Image,
    /// How often that has changed: one file, called `version`.
    ImageState,
    /// The commit object that each branch is at.
    Branches,
    /// The checksum of each static delta's superblock, by the delta's folder.
    Deltas,
    /// Lists that are made from these, by path.
    Treehub,
}

impl Folder {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::ImageState => "image-state",
            Self::Branches => "branches",
            Self::Deltas => "deltas",
            Self::Treehub => "treehub",
        }
    }
}

/// A file.
pub fn get(connection: &Connection, folder: Folder, path: &str) -> Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT content FROM documents WHERE folder = ?1 AND path = ?2")
        .and_then(|mut statement| {
            statement.query_row([folder.name(), path], |row| row.get(0)).optional()
        })
        .map_err(Error::database("read a document"))
}

/// All files of a folder, by path.
pub fn all(connection: &Connection, folder: Folder) -> Result<BTreeMap<String, Vec<u8>>> {
    let failed = |error| Error::database("read documents")(error);
    let mut statement = connection
        .prepare_cached("SELECT path, content FROM documents WHERE folder = ?1")
        .map_err(failed)?;
    let rows = statement
        .query_map([folder.name()], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Stores a file, in the place of the one that was.
pub fn put(tx: &Transaction<'_>, folder: Folder, path: &str, content: &[u8]) -> Result<()> {
    tx.execute(
        "INSERT INTO documents VALUES (?1, ?2, ?3)
             ON CONFLICT (folder, path) DO UPDATE SET content = excluded.content",
        params![folder.name(), path, content],
    )
    .map_err(Error::database("store a document"))?;
    Ok(())
}

/// Removes all files of a folder.
pub fn clear(tx: &Transaction<'_>, folder: Folder) -> Result<()> {
    tx.execute("DELETE FROM documents WHERE folder = ?1", [folder.name()])
        .map_err(Error::database("remove documents"))?;
    Ok(())
}
