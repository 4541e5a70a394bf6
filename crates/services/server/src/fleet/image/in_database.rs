//! The Image repository where content lies in a bucket: its files are rows of the database, which
//! servers share without sharing a folder.

use std::time::Duration;

use updraft_publish::ImageRepository;

use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::online_keys::DIALECT;
use crate::storage::documents::{self, Folder};
use crate::storage::sql::Connection;
use crate::storage::{Database, leases};

/// What only one server changes at a time.
const LEASE: &str = "image-repository";
/// How long a change may take; another server may change the repository then.
const LEASE_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);
/// Between two attempts to take the lease.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is tried: until the life of a lease is over, and somewhat longer.
const ATTEMPTS: u32 = 700;

/// Both forms of the repository.
pub(in crate::fleet) type Forms = (ImageRepository, Option<ImageRepository>);

/// Leave to change the repository; given back with this value.
#[derive(Debug)]
pub(super) struct Lease<'f>(&'f Fleet);

impl<'f> Lease<'f> {
    /// Waits for it.
    pub(super) fn take(fleet: &'f Fleet) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let now = fleet.now();
            let until = now.checked_add(LEASE_LIFE).unwrap_or(jiff::Timestamp::MAX);
            let taken = fleet.database().write("begin to change the Image repository", |tx| {
                leases::take(tx, LEASE, fleet.holder(), (now, until))
            })?;
            if taken {
                return Ok(Self(fleet));
            }
            std::thread::sleep(PAUSE);
        }
        Err(out_of_turn())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let given = self.0.database().write("end a change of the Image repository", |tx| {
            leases::give(tx, LEASE, self.0.holder())
        });
        if let Err(error) = given {
            // It ends by itself.
            tracing::warn!(reason = crate::error::chain(&error), "a lease was not given back");
        }
    }
}

/// How often the repository has changed.
pub(super) fn version(connection: &Connection) -> Result<u64> {
    let Some(text) = documents::get(connection, Folder::ImageState, "version")? else {
        return Ok(0);
    };
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::Stored {
        what: "the version of the Image repository",
        reason: "it is no number".to_owned(),
    })
}

/// Loads the repository, once it has a root, and how often it has changed.
pub(super) fn load(database: &Database) -> Result<(u64, Option<Forms>)> {
    // One transaction, so that the files are those of the version.
    let (version, files) = database.read("load the Image repository", |reader| {
        Ok((version(reader)?, documents::all(reader, Folder::Image)?))
    })?;
    if files.is_empty() {
        return Ok((version, None));
    }
    let forms = ImageRepository::of_files(&files, "the database", DIALECT)
        .map_err(Error::crypto("load the Image repository in the database"))?;
    Ok((version, Some(forms)))
}

/// Stores the repository in the place of the one that had changed `before` times.
pub(super) fn store(
    database: &Database,
    before: u64,
    uptane: &ImageRepository,
    tuf: Option<&ImageRepository>,
) -> Result<u64> {
    let files = uptane.files(tuf);
    let next = before.saturating_add(1);
    // Commit point: all files of both forms change in one transaction.
    database.write("store the Image repository", |tx| {
        // A lease that ran out let another server in.
        if version(tx)? != before {
            return Err(out_of_turn());
        }
        documents::clear(tx, Folder::Image)?;
        for (path, content) in &files {
            documents::put(tx, Folder::Image, path, content)?;
        }
        documents::put(tx, Folder::ImageState, "version", next.to_string().as_bytes())?;
        Ok(next)
    })
}

fn out_of_turn() -> Error {
    Error::TooOften { seconds: 1 }
}
