//! The OSTree repository where its objects lie in a bucket.
//!
//! A branch is kept as the commit object that it is at, so that the list of branches is made from
//! the database alone, in the transaction that moves one.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use updraft_ostree::delta::{DeltaIndex, DeltaName};
use updraft_ostree::{
    Checksum, Commit, MAX_METADATA_SIZE, ObjectName, ObjectType, RefName, RepoMode,
};
use updraft_repo::{Imported, summary, verify_archive_object};

use super::{Move, require_child};
use crate::contents::{Key, read_error};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::storage::documents::{self, Folder};
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::{Connection, Transaction};

/// As an archive says of itself.
const CONFIG: &[u8] = b"[core]\nrepo_version=1\nmode=archive-z2\nindexed-deltas=true\n";
/// The list of branches and deltas.
const SUMMARY: &str = "summary";
/// How many objects are remembered.
const MOST_KNOWN: usize = 1 << 18;

/// Objects that are in the bucket. None is ever removed, so what was there once is there.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Known(Mutex<HashSet<ObjectName>>);

impl Known {
    fn has(&self, object: &ObjectName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(object)
    }

    fn add(&self, object: &ObjectName) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(*object);
    }
}

/// What of a repository is no content of its own.
#[derive(Debug)]
pub enum Stored {
    /// This.
    Bytes(Vec<u8>),
    /// Nothing.
    Nothing,
}

impl Fleet {
    pub(super) fn bucket_has_object(&self, known: &Known, object: &ObjectName) -> Result<bool> {
        if known.has(object) {
            return Ok(true);
        }
        let found = self.contents.find(&key_of(object))?.is_some();
        if found {
            known.add(object);
        }
        Ok(found)
    }

    pub(super) fn import_to_bucket(
        &self,
        known: &Known,
        object: &ObjectName,
        content: &mut dyn Read,
    ) -> Result<Result<Imported, updraft_repo::Error>> {
        let key = key_of(object);
        let mut incoming = self.contents.receive(Some(&key))?;
        let mut broken = None;
        let verified = verify_archive_object(object, content, &mut |piece| {
            incoming.write(piece).map_err(|error| {
                broken = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        if let Some(error) = broken {
            return Err(error);
        }
        if let Err(error) = verified {
            return Ok(Err(error));
        }
        incoming.keep(&key)?;
        known.add(object);
        Ok(Ok(Imported::Stored))
    }

    pub(super) fn stored_document(&self, path: &str) -> Result<Option<Stored>> {
        let read = |folder, path: &str| {
            self.database
                .read("read a list of the OSTree repository", |reader| {
                    documents::get(reader, folder, path)
                })
                .map(|found| found.map_or(Stored::Nothing, Stored::Bytes))
        };
        if let Some(branch) = path.strip_prefix("refs/heads/") {
            return Ok(Some(match read(Folder::Branches, branch)? {
                Stored::Bytes(commit) => {
                    Stored::Bytes(format!("{}\n", Checksum::of(&commit)).into_bytes())
                }
                Stored::Nothing => Stored::Nothing,
            }));
        }
        Ok(match path {
            "config" => Some(Stored::Bytes(CONFIG.to_vec())),
            "summary.sig" => Some(Stored::Nothing),
            _ if path == SUMMARY || path.starts_with("delta-indexes/") => {
                Some(read(Folder::Treehub, path)?)
            }
            _ => None,
        })
    }

    /// Moves a branch to a commit that is in the bucket.
    pub(super) fn set_branch_in_database(
        &self,
        name: &RefName,
        commit: &Checksum,
        allowed: Move,
        event: &NewEvent<'_>,
    ) -> Result<()> {
        let bytes = self.commit_object(commit)?;
        let loaded = Commit::decode(&bytes)
            .map_err(|error| Error::Stored { what: "the commit", reason: error.to_string() })?;
        let now = self.now();
        // Commit point: the branch, the list of branches and the event are one transaction.
        self.database.write("move a branch", |tx| {
            let current = documents::get(tx, Folder::Branches, name.as_ref())?;
            if allowed == Move::ToChild {
                let current = current.as_deref().map(Checksum::of);
                require_child(name, (commit, &loaded), current)?;
            }
            documents::put(tx, Folder::Branches, name.as_ref(), &bytes)?;
            // There is one from the first static delta on.
            if documents::get(tx, Folder::Treehub, SUMMARY)?.is_some() {
                write_summary(tx, now)?;
            }
            events::append(tx, now, event).map(drop)
        })
    }

    /// Lists a delta whose files are all in the bucket.
    pub(super) fn list_delta_in_database(&self, delta: DeltaName, superblock: &[u8]) -> Result<()> {
        let now = self.now();
        let target = delta.to;
        let path = DeltaName::index_path(&target);
        let name = delta.superblock_path();
        // Commit point: both lists are one transaction.
        self.database.write("list a static delta", |tx| {
            documents::put(tx, Folder::Deltas, &name, superblock)?;
            let mut index = DeltaIndex::new();
            for (name, sum) in deltas(tx)?.iter().filter(|(name, _)| name.to == target) {
                index.insert(*name, *sum);
            }
            documents::put(tx, Folder::Treehub, &path, &index.encode())?;
            write_summary(tx, now)
        })
    }

    /// The bytes of a commit in the bucket, verified.
    fn commit_object(&self, commit: &Checksum) -> Result<Vec<u8>> {
        let object = ObjectName::new(*commit, ObjectType::Commit);
        let damaged = |reason: String| Error::Stored { what: "the commit", reason };
        let found = self.contents.find(&key_of(&object))?;
        let found = found.ok_or_else(|| Error::not_found("commit", commit.to_string()))?;
        if found.length > MAX_METADATA_SIZE as u64 {
            return Err(damaged(format!("it has {} bytes", found.length)));
        }
        let mut bytes = Vec::new();
        let read = found.read(0, found.length)?.read_to_end(&mut bytes);
        read.map_err(read_error)?;
        if Checksum::of(&bytes) == *commit {
            Ok(bytes)
        } else {
            Err(damaged("its content has another checksum than its name".to_owned()))
        }
    }
}

fn key_of(object: &ObjectName) -> Key {
    Key::treehub(&format!("objects/{}", object.loose_path(RepoMode::Archive)))
}

fn deltas(connection: &Connection) -> Result<DeltaIndex> {
    let mut index = DeltaIndex::new();
    for (path, sum) in documents::all(connection, Folder::Deltas)? {
        let damaged = || Error::Stored { what: "the list of static deltas", reason: path.clone() };
        let name = super::delta_name(&path).ok_or_else(damaged)?;
        let sum: [u8; 32] = sum.try_into().map_err(|_| damaged())?;
        index.insert(name, Checksum::from_bytes(sum));
    }
    Ok(index)
}

fn write_summary(tx: &Transaction<'_>, now: jiff::Timestamp) -> Result<()> {
    let mut refs = Vec::new();
    for (name, commit) in documents::all(tx, Folder::Branches)? {
        let damaged = |reason: String| Error::Stored { what: "a branch", reason };
        let parsed: RefName = name.parse().map_err(|error| damaged(format!("{name}: {error}")))?;
        let described = summary::describe(&parsed, Checksum::of(&commit), &commit);
        refs.push(described.map_err(Error::repo("list the branches"))?);
    }
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    let summary = summary::of_archive(refs, &deltas(tx)?, now);
    documents::put(tx, Folder::Treehub, SUMMARY, &summary.encode())
}
