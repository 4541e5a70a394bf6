//! The OSTree repository: what devices pull from and operators push to.
//!
//! Objects are verified while they are received and durable before they are acknowledged. A
//! directory or a commit is taken after all that it refers to, so that whoever finds a commit here
//! finds all of it; a branch is only moved to a commit that is here.
//!
//! In the data folder it is a repository like any other. With a bucket, objects and deltas lie
//! there under the same paths, and what changes, branches and lists, is in the database.

mod cost;
mod in_bucket;

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use updraft_api::EventKind;
use updraft_ostree::delta::DeltaName;
use updraft_ostree::{
    Checksum, Commit, DirTree, MAX_METADATA_SIZE, ObjectName, ObjectType, RefName, Refspec,
};
use updraft_repo::summary::SummaryOptions;
use updraft_repo::{Imported, Repo};
use updraft_task::Context;

use super::Fleet;
use super::operators::Operator;
use crate::contents::Key;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::storage::events::{self, NewEvent};
use in_bucket::Known;
pub use in_bucket::Stored;

/// Where the repository is.
#[derive(Debug)]
pub(super) enum Treehub {
    /// In the data folder.
    Folder(Box<Repo>),
    /// In the bucket and the database.
    Bucket(Known),
}

impl Treehub {
    pub(super) fn open(layout: &Layout) -> Result<Self> {
        let repo = Repo::open(layout.treehub());
        let repo = repo.map_err(Error::repo("open the OSTree repository treehub/"))?;
        Ok(Self::Folder(Box::new(repo)))
    }

    pub(super) fn in_bucket() -> Self {
        Self::Bucket(Known::default())
    }
}

/// Whether a branch may be moved to any commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// To any.
    Anywhere,
    /// To a child of the commit where it is.
    ToChild,
}

impl Fleet {
    /// Whether an object is here.
    fn has_object(&self, object: &ObjectName) -> Result<bool> {
        match &self.treehub {
            Treehub::Folder(repo) => {
                repo.has_object(object).map_err(Error::repo("look for an object"))
            }
            Treehub::Bucket(known) => self.bucket_has_object(known, object),
        }
    }

    /// What of the repository is no content of its own: the configuration, branches and lists. None
    /// where these are files like others.
    pub fn treehub_document(&self, path: &str) -> Result<Option<Stored>> {
        match &self.treehub {
            Treehub::Folder(_) => Ok(None),
            Treehub::Bucket(_) => self.stored_document(path),
        }
    }

    /// Stores an uploaded object; false when it was here.
    pub fn upload_object(
        &self,
        context: &Context,
        object: &ObjectName,
        mut content: impl Read,
    ) -> Result<bool> {
        use updraft_error::{Classify as _, Kind};
        let here = self.has_object(object)?;
        if here && object.object_type != ObjectType::CommitMeta {
            return Ok(false);
        }
        let imported = match object.object_type {
            ObjectType::Commit | ObjectType::DirTree => {
                let mut bytes = Vec::new();
                let what = "the object";
                content
                    .take(MAX_METADATA_SIZE as u64 + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| Error::Receive { what, reason: error.to_string() })?;
                if Checksum::of(&bytes) != object.checksum {
                    return Err(refused(
                        "its content has another checksum than its name".to_owned(),
                    ));
                }
                self.require_children(object, &bytes)?;
                self.import(context, object, &mut bytes.as_slice())
            }
            _ => self.import(context, object, &mut content),
        };
        match imported? {
            Ok(Imported::Stored) => Ok(true),
            Ok(Imported::Existed) => Ok(false),
            Err(error) if matches!(error.kind(), Kind::Invalid | Kind::Rejected) => {
                Err(refused(crate::error::chain(&error)))
            }
            Err(error) => Err(Error::repo("store the object")(error)),
        }
    }

    /// Stores an object after verifying it. The inner error is that of the object.
    fn import(
        &self,
        context: &Context,
        object: &ObjectName,
        content: &mut dyn Read,
    ) -> Result<Result<Imported, updraft_repo::Error>> {
        match &self.treehub {
            Treehub::Folder(repo) => Ok(repo.import_archive_object(context, object, content)),
            Treehub::Bucket(known) => self.import_to_bucket(known, object, content),
        }
    }

    /// Refuses what refers to objects that are not here.
    fn require_children(&self, object: &ObjectName, bytes: &[u8]) -> Result<()> {
        let malformed = |error: updraft_ostree::Error| refused(error.to_string());
        let mut children = Vec::new();
        if object.object_type == ObjectType::Commit {
            let commit = Commit::decode(bytes).map_err(malformed)?;
            children.push(ObjectName::new(commit.root_dirtree, ObjectType::DirTree));
            children.push(ObjectName::new(commit.root_dirmeta, ObjectType::DirMeta));
        } else {
            let tree = DirTree::decode(bytes).map_err(malformed)?;
            children
                .extend(tree.files.values().map(|file| ObjectName::new(*file, ObjectType::File)));
            for entry in tree.dirs.values() {
                children.push(ObjectName::new(entry.dirtree, ObjectType::DirTree));
                children.push(ObjectName::new(entry.dirmeta, ObjectType::DirMeta));
            }
        }
        for child in children {
            if !self.has_object(&child)? {
                return Err(Error::Precondition {
                    code: "object_incomplete",
                    action: format!("store object {object}"),
                    reason: format!("it refers to {child}, which is not here yet"),
                });
            }
        }
        Ok(())
    }

    /// Moves a branch to a commit that is here.
    pub fn set_branch(
        &self,
        operator: &Operator,
        name: &str,
        commit: &str,
        allowed: Move,
    ) -> Result<()> {
        let name: RefName =
            name.parse().map_err(|error| Error::invalid("the branch name", error))?;
        let commit = self.require_commit(commit)?;
        let now = self.now();
        let actor = operator.actor();
        let message = format!("branch {name} is at {commit} now");
        let event = NewEvent::new(EventKind::RefUpdated, &actor, message);
        let Treehub::Folder(repo) = &self.treehub else {
            return self.set_branch_in_database(&name, &commit, allowed, &event);
        };
        let refspec = Refspec { remote: None, name };
        if allowed == Move::ToChild {
            let current = repo.read_ref(&refspec).map_err(Error::repo("read the branch"))?;
            let (loaded, _) = repo.load_commit(&commit).map_err(Error::repo("read the commit"))?;
            require_child(&refspec.name, (&commit, &loaded), current)?;
        }
        repo.set_ref(&refspec, Some(&commit)).map_err(Error::repo("move the branch"))?;
        // There is one from the first static delta on.
        if repo.path().join("summary").exists() {
            self.update_summary(&Context::silent(), repo)?;
        }
        self.database.write("append an event", |tx| events::append(tx, now, &event).map(drop))
    }

    /// Stores a file of a static delta. Devices verify what a delta makes, so that only its form
    /// matters here; when the part that describes the rest comes, the target's index is made anew.
    pub fn upload_delta(
        &self,
        context: &Context,
        path: &str,
        content: &mut dyn Read,
    ) -> Result<()> {
        let delta = delta_name(path).ok_or_else(|| {
            Error::not_found("a static delta at", path.escape_default().to_string())
        })?;
        let key = Key::treehub(path);
        let mut incoming = self.contents.receive(Some(&key))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0_u8; 64 << 10];
        loop {
            let count = content.read(&mut buffer).map_err(|error| Error::Receive {
                what: "the static delta",
                reason: error.to_string(),
            })?;
            let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { break };
            hash.update(piece);
            incoming.write(piece)?;
        }
        incoming.keep(&key)?;
        if !path.ends_with("/superblock") {
            return Ok(());
        }
        let Treehub::Folder(repo) = &self.treehub else {
            return self.list_delta_in_database(delta, &hash.finalize());
        };
        updraft_repo::delta::reindex(context, repo, Some(&delta.to))
            .map_err(Error::repo("list the static deltas of a commit"))?;
        self.update_summary(context, repo)
    }

    /// Writes the list of branches, which tells libostree that there are lists of deltas.
    fn update_summary(&self, context: &Context, repo: &Repo) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        // The list that is written last has to have been made last.
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let now = u64::try_from(self.now().as_second()).unwrap_or_default();
        updraft_repo::summary::update(context, repo, now, &SummaryOptions::default())
            .map_err(Error::repo("list the branches"))?;
        Ok(())
    }

    /// The checksum of a commit that is here.
    pub fn require_commit(&self, commit: &str) -> Result<Checksum> {
        let checksum: Checksum =
            commit.trim().parse().map_err(|error| Error::invalid("the commit", error))?;
        let object = ObjectName { checksum, object_type: ObjectType::Commit };
        if self.has_object(&object)? {
            Ok(checksum)
        } else {
            Err(Error::not_found("commit", checksum.to_string()))
        }
    }
}

/// Refuses to move a branch to what is no child of where it is.
fn require_child(
    name: &RefName,
    (commit, loaded): (&Checksum, &Commit),
    current: Option<Checksum>,
) -> Result<()> {
    let Some(current) = current.filter(|current| current != commit) else { return Ok(()) };
    if loaded.parent == Some(current) {
        return Ok(());
    }
    Err(Error::Precondition {
        code: "commit_not_child",
        action: format!("move branch {name}"),
        reason: format!(
            "it is at {current}, which is not the parent of {commit}; to move it all the same, \
             send the header `x-ats-ostree-force: true`"
        ),
    })
}

fn refused(reason: String) -> Error {
    Error::Rejected { code: "object_refused", what: "the object", reason }
}

/// The delta of which `deltas/XX/REST[-TO]/FILE` is a file.
fn delta_name(path: &str) -> Option<DeltaName> {
    let mut parts = path.strip_prefix("deltas/")?.split('/');
    let (prefix, rest, file) = (parts.next()?, parts.next()?, parts.next()?);
    let is_file = file == "superblock" || file.parse::<u32>().is_ok_and(|n| n.to_string() == file);
    if parts.next().is_some() || !is_file {
        return None;
    }
    DeltaName::from_folder(prefix, rest).ok()
}
