//! Which image file is where on an ECU whose targets are files.

use rusqlite::{OptionalExtension as _, Transaction};

use crate::Result;
use crate::store::Store;

/// An image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileImage {
    /// The target's name.
    pub filepath: String,
    /// Its SHA-256, as 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Where an image is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePlace {
    /// A secondary may fetch it.
    Fetched,
    /// It could be switched to.
    Staged,
    /// It runs after the next start.
    Next,
    /// It runs.
    Running,
}

impl FilePlace {
    fn name(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Staged => "staged",
            Self::Next => "next",
            Self::Running => "running",
        }
    }
}

impl Store {
    /// The image in this place.
    pub fn file_image(&self, ecu: &str, place: FilePlace) -> Result<Option<FileImage>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT filepath, sha256 FROM file_image WHERE ecu = ?1 AND place = ?2",
                    (ecu, place.name()),
                    |row| Ok(FileImage { filepath: row.get(0)?, sha256: row.get(1)? }),
                )
                .optional()
        })
    }

    /// Puts an image in this place, or empties it.
    pub fn set_file_image(
        &self,
        ecu: &str,
        place: FilePlace,
        image: Option<&FileImage>,
    ) -> Result<()> {
        self.change(|transaction| put(transaction, ecu, place, image))
    }

    /// Makes an image the next one, and the running one as well when that is `at_once`.
    pub fn switch_file_image(
        &self,
        ecu: &str,
        image: Option<&FileImage>,
        at_once: bool,
    ) -> Result<()> {
        self.change(|transaction| {
            put(transaction, ecu, FilePlace::Next, image)?;
            if at_once {
                put(transaction, ecu, FilePlace::Running, image)?;
            }
            Ok(())
        })
    }
}

fn put(
    transaction: &Transaction<'_>,
    ecu: &str,
    place: FilePlace,
    image: Option<&FileImage>,
) -> rusqlite::Result<()> {
    match image {
        Some(image) => transaction.execute(
            "INSERT OR REPLACE INTO file_image (ecu, place, filepath, sha256)
             VALUES (?1, ?2, ?3, ?4)",
            (ecu, place.name(), &image.filepath, &image.sha256),
        )?,
        None => transaction
            .execute("DELETE FROM file_image WHERE ecu = ?1 AND place = ?2", (ecu, place.name()))?,
    };
    Ok(())
}
