//! An Image repository on disk.
//!
//! ```text
//! FOLDER/N.root.json  N.targets.json  N.snapshot.json  timestamp.json
//! FOLDER/delegations/N.ROLE.json                       ROLE percent-encoded
//! FOLDER/tuf/…                                         the same in TUF's form, with N.timestamp.json
//! ```
//! Versioned files are never changed once they are there. `timestamp.json` is the only name that
//! is replaced, and the last one to be written: it is the commit point of a change. A power cut
//! before it leaves versioned files that nothing points to yet.
//!
//! The TUF form is written before. Its timestamp has the version of the other form's, and its roots
//! count up to the version of the other form's root, so that the commit point is the same for both.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp as Time;
use updraft_fs::{Dir, atomic_write};
use updraft_tuf::{Dialect, Payload, RoleName, Snapshot, Timestamp};

use crate::image::{MAX_SMALL_FILE, MAX_TARGETS_FILE, envelope, payload};
use crate::image_files::Files;
use crate::{Error, ImageRepository, SignedFile};

pub(crate) const TIMESTAMP: &str = "timestamp.json";
pub(crate) const DELEGATIONS: &str = "delegations";
pub(crate) const TUF: &str = "tuf";

impl ImageRepository {
    /// Writes all files that are not there yet, and the timestamp last.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = Dir::create_all(folder, 0o755)?;
        self.save_versions(&folder)?;
        if let Some(file) = &self.timestamp {
            // Commit point: from here on clients see the new snapshot and what it names.
            atomic_write(&folder, TIMESTAMP, &file.bytes, 0o644)?;
        }
        Ok(())
    }

    /// The same with the TUF form, which becomes current with it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save_with(&self, tuf: &Self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let path = folder.as_ref();
        let beside = Dir::create_all(path.join(TUF), 0o755)?;
        tuf.save_versions(&beside)?;
        if let Some(file) = &tuf.timestamp {
            write_version(&beside, "timestamp", file)?;
        }
        // The commit point of both forms is in here.
        self.save(path)?;
        let current = tuf.timestamp.as_ref().map_or(0, |file| file.payload.header.version);
        for (_, name) in versions(&beside, TIMESTAMP)?.range(..current) {
            beside.try_unlink(name)?;
        }
        Ok(())
    }

    fn save_versions(&self, folder: &Dir) -> Result<(), Error> {
        for (version, bytes) in &self.roots {
            write_once(folder, &format!("{version}.root.json"), bytes)?;
        }
        if let Some(file) = &self.targets {
            write_version(folder, "targets", file)?;
        }
        if !self.delegated.is_empty() {
            let delegations = folder.ensure_dir(DELEGATIONS, 0o755)?;
            for (name, file) in &self.delegated {
                let encoded = RoleName::Delegated(name.clone()).file_name();
                let name = format!("{}.{encoded}", file.payload.header.version);
                write_once(&delegations, &name, &file.bytes)?;
            }
        }
        if let Some(file) = &self.snapshot {
            write_version(folder, "snapshot", file)?;
        }
        Ok(())
    }

    /// Loads what [`ImageRepository::save`] wrote: the snapshot and what it lists, or as long as
    /// there is none, the newest files. Every root is verified by the one before it.
    /// Expiry is not looked at, and targets need not be signed by the newest root's keys, so that
    /// an operator can still open a repository that needs new signatures;
    /// [`ImageRepository::refresh`] makes nothing current that is not signed.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is no root; [`Error::Refused`] for roots that were tampered
    /// with; [`Error::Format`] for damaged files.
    pub fn load(folder: impl AsRef<Path>, dialect: Dialect) -> Result<Self, Error> {
        let path = folder.as_ref();
        Self::load_from(&Dir::open(path)?, &path.display().to_string(), dialect)
    }

    /// Loads the TUF form that [`ImageRepository::save_with`] wrote beside this one; `None` when
    /// there is none.
    ///
    /// # Errors
    /// As [`ImageRepository::load`].
    pub fn load_beside(&self, folder: impl AsRef<Path>) -> Result<Option<Self>, Error> {
        let path = folder.as_ref();
        match Dir::open(path)?.try_open_dir(TUF)? {
            Some(beside) => self.load_form(&beside, &path.join(TUF).display().to_string()),
            None => Ok(None),
        }
    }

    pub(crate) fn load_from(
        files: &dyn Files,
        place: &str,
        dialect: Dialect,
    ) -> Result<Self, Error> {
        Self::load_up_to(files, place, dialect, TIMESTAMP, u64::MAX)
    }

    /// The TUF form that became current with this; `None` when it has not begun.
    pub(crate) fn load_form(&self, files: &dyn Files, place: &str) -> Result<Option<Self>, Error> {
        let newest = self.root.header.version;
        let (timestamp, has_begun) = if let Some(file) = &self.timestamp {
            let name = format!("{}.{TIMESTAMP}", file.payload.header.version);
            let has_begun = files.try_read(&name, MAX_SMALL_FILE as u64)?.is_some();
            (name, has_begun)
        } else {
            let roots = versions(files, "root.json")?;
            (TIMESTAMP.to_owned(), roots.contains_key(&newest))
        };
        if !has_begun {
            // What a power cut left of a beginning.
            return Ok(None);
        }
        Self::load_up_to(files, place, Dialect::Tuf, &timestamp, newest).map(Some)
    }

    fn load_up_to(
        files: &dyn Files,
        place: &str,
        dialect: Dialect,
        timestamp: &str,
        newest_root: u64,
    ) -> Result<Self, Error> {
        let roots = versions(files, "root.json")?;
        let mut roots = roots.into_iter().filter(|(version, _)| *version <= newest_root);
        let (_, name) =
            roots.next().ok_or_else(|| Error::Absent { what: format!("a root in {place}") })?;
        // Nothing expires before the beginning of time.
        let never = Time::MIN;
        let first = files.read(&name, MAX_SMALL_FILE as u64)?;
        let mut repository = Self::new(dialect, &first, never)?;
        for (_, name) in roots {
            repository.accept_root(&files.read(&name, MAX_SMALL_FILE as u64)?, never)?;
        }
        repository.load_current(files, timestamp)?;
        let newest = versions(files, "targets.json")?.into_keys().next_back();
        if let Some(version) = repository.current_version(&RoleName::Targets).or(newest) {
            let name = format!("{version}.targets.json");
            let bytes = files.read(&name, MAX_TARGETS_FILE as u64)?;
            repository.targets = Some(repository.parse("targets", bytes)?);
        }
        repository.load_delegated(files)?;
        Ok(repository)
    }

    fn load_delegated(&mut self, files: &dyn Files) -> Result<(), Error> {
        let mut found: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for name in files.names(DELEGATIONS)? {
            let Some((version, encoded)) = split_version(&name) else { continue };
            let Some(RoleName::Delegated(role)) = RoleName::of_file_name(encoded) else { continue };
            let current = self.current_version(&RoleName::Delegated(role.clone()));
            let is_current = match (&self.snapshot, current) {
                (Some(_), current) => current == Some(version),
                (None, _) => found.get(&role).is_none_or(|(other, _)| *other < version),
            };
            if is_current {
                found.insert(role, (version, name));
            }
        }
        for (role, (_, name)) in found {
            let path = format!("{DELEGATIONS}/{name}");
            let bytes = files.read(&path, MAX_TARGETS_FILE as u64)?;
            let file = self.parse(&role, bytes)?;
            self.delegated.insert(role, file);
        }
        Ok(())
    }

    fn load_current(&mut self, files: &dyn Files, timestamp: &str) -> Result<(), Error> {
        let limit = MAX_SMALL_FILE as u64;
        let Some(bytes) = files.try_read(timestamp, limit)? else { return Ok(()) };
        let timestamp: SignedFile<Timestamp> = self.parse("timestamp", bytes)?;
        let name = format!("{}.snapshot.json", timestamp.payload.snapshot.version);
        let snapshot: SignedFile<Snapshot> =
            self.parse("snapshot", files.read(&name, MAX_TARGETS_FILE as u64)?)?;
        self.timestamp = Some(timestamp);
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// The version of a targets file that the snapshot lists.
    fn current_version(&self, role: &RoleName) -> Option<u64> {
        let meta = &self.snapshot.as_ref()?.payload.meta;
        meta.get(&format!("{role}.json")).map(|file| file.version)
    }

    fn parse<P: Payload>(&self, subject: &str, bytes: Vec<u8>) -> Result<SignedFile<P>, Error> {
        let envelope = envelope(self.dialect, subject, &bytes, MAX_TARGETS_FILE)?;
        Ok(SignedFile { payload: payload(self.dialect, subject, &envelope)?, bytes })
    }
}

fn write_version<P: Payload>(folder: &Dir, role: &str, file: &SignedFile<P>) -> Result<(), Error> {
    let name = format!("{}.{role}.json", file.payload.header().version);
    write_once(folder, &name, &file.bytes)
}

/// Writes a file unless it is there with these bytes.
fn write_once(folder: &Dir, name: &str, bytes: &[u8]) -> Result<(), Error> {
    if folder.try_read(name, MAX_TARGETS_FILE as u64)?.as_deref() != Some(bytes) {
        atomic_write(folder, name, bytes, 0o644)?;
    }
    Ok(())
}

fn versions(files: &dyn Files, suffix: &str) -> Result<BTreeMap<u64, String>, Error> {
    let parsed = files.names("")?.into_iter().filter_map(|name| {
        let (version, rest) = split_version(&name)?;
        (rest == suffix).then(|| (version, name.clone()))
    });
    Ok(parsed.collect())
}

fn split_version(name: &str) -> Option<(u64, &str)> {
    let (digits, rest) = name.split_once('.')?;
    Some((digits.parse().ok()?, rest))
}
