//! The OSTree repository: what devices pull from and operators push to.
//!
//! Objects are verified while they are received and durable before they are acknowledged. A
//! directory or a commit is taken after all that it refers to, so that whoever finds a commit here
//! finds all of it; a branch is only moved to a commit that is here.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

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
use crate::error::{Error, Result};
use crate::storage::events::{self, NewEvent};

/// Whether a branch may be moved to any commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// To any.
    Anywhere,
    /// To a child of the commit where it is.
    ToChild,
}

impl Fleet {
    /// The repository.
    pub fn treehub(&self) -> &Repo {
        &self.treehub
    }

    /// Stores an uploaded object; false when it was here.
    pub fn upload_object(
        &self,
        context: &Context,
        object: &ObjectName,
        mut content: impl Read,
    ) -> Result<bool> {
        use updraft_error::{Classify as _, Kind};
        let here = self.treehub.has_object(object).map_err(Error::repo("look for an object"))?;
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
                self.treehub.import_archive_object(context, object, bytes.as_slice())
            }
            _ => self.treehub.import_archive_object(context, object, &mut content),
        };
        match imported {
            Ok(Imported::Stored) => Ok(true),
            Ok(Imported::Existed) => Ok(false),
            Err(error) if matches!(error.kind(), Kind::Invalid | Kind::Rejected) => {
                Err(refused(crate::error::chain(&error)))
            }
            Err(error) => Err(Error::repo("store the object")(error)),
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
            let here =
                self.treehub.has_object(&child).map_err(Error::repo("look for an object"))?;
            if !here {
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
        let refspec = Refspec { remote: None, name };
        if allowed == Move::ToChild {
            self.require_child(&refspec, &commit)?;
        }
        self.treehub.set_ref(&refspec, Some(&commit)).map_err(Error::repo("move the branch"))?;
        // There is one from the first static delta on.
        if self.treehub.path().join("summary").exists() {
            self.update_summary(&Context::silent())?;
        }
        let now = self.now();
        let actor = operator.actor();
        let message = format!("branch {} is at {commit} now", refspec.name);
        let event = NewEvent::new(EventKind::RefUpdated, &actor, message);
        self.database.write("append an event", |tx| events::append(tx, now, &event))
    }

    fn require_child(&self, refspec: &Refspec, commit: &Checksum) -> Result<()> {
        let current = self.treehub.read_ref(refspec).map_err(Error::repo("read the branch"))?;
        let Some(current) = current.filter(|current| current != commit) else { return Ok(()) };
        let (loaded, _) =
            self.treehub.load_commit(commit).map_err(Error::repo("read the commit"))?;
        if loaded.parent == Some(current) {
            return Ok(());
        }
        Err(Error::Precondition {
            code: "commit_not_child",
            action: format!("move branch {}", refspec.name),
            reason: format!(
                "it is at {current}, which is not the parent of {commit}; to move it all the same, \
                 send the header `x-ats-ostree-force: true`"
            ),
        })
    }

    /// Stores a file of a static delta. Devices verify what a delta makes, so that only its form
    /// matters here; when the part that describes the rest comes, the target's index is made anew.
    pub fn upload_delta(
        &self,
        context: &Context,
        path: &str,
        content: &mut dyn Read,
    ) -> Result<()> {
        let target = delta_target(path).ok_or_else(|| {
            Error::not_found("a static delta at", path.escape_default().to_string())
        })?;
        let failed = || Error::fs("store a static delta");
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = updraft_fs::Dir::create_all(self.treehub.path().join(folder), 0o755)
            .map_err(failed())?;
        let mut temporary = updraft_fs::TempFile::new_in(&folder).map_err(failed())?;
        std::io::copy(content, temporary.file_mut()).map_err(|error| Error::Receive {
            what: "the static delta",
            reason: error.to_string(),
        })?;
        temporary.set_mode(0o644).map_err(failed())?;
        temporary.sync().map_err(failed())?;
        // Commit point: the name appears with the whole content.
        temporary.persist_replace(&folder, file).map_err(failed())?;
        folder.sync().map_err(failed())?;
        if file == "superblock" {
            updraft_repo::delta::reindex(context, &self.treehub, Some(&target))
                .map_err(Error::repo("list the static deltas of a commit"))?;
            self.update_summary(context)?;
        }
        Ok(())
    }

    /// Writes the list of branches, which tells libostree that there are lists of deltas.
    fn update_summary(&self, context: &Context) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        // The list that is written last has to have been made last.
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let now = u64::try_from(self.now().as_second()).unwrap_or_default();
        updraft_repo::summary::update(context, &self.treehub, now, &SummaryOptions::default())
            .map_err(Error::repo("list the branches"))?;
        Ok(())
    }

    /// The checksum of a commit that is here.
    pub fn require_commit(&self, commit: &str) -> Result<Checksum> {
        let checksum: Checksum =
            commit.trim().parse().map_err(|error| Error::invalid("the commit", error))?;
        let object = ObjectName { checksum, object_type: ObjectType::Commit };
        let here = self.treehub.has_object(&object).map_err(Error::repo("look for the commit"))?;
        if here { Ok(checksum) } else { Err(Error::not_found("commit", checksum.to_string())) }
    }
}

fn refused(reason: String) -> Error {
    Error::Rejected { code: "object_refused", what: "the object", reason }
}

/// The commit to which a delta at `deltas/XX/REST[-TO]/FILE` leads.
fn delta_target(path: &str) -> Option<Checksum> {
    let mut parts = path.strip_prefix("deltas/")?.split('/');
    let (prefix, rest, file) = (parts.next()?, parts.next()?, parts.next()?);
    let is_file = file == "superblock" || file.parse::<u32>().is_ok_and(|n| n.to_string() == file);
    if parts.next().is_some() || !is_file {
        return None;
    }
    Some(DeltaName::from_folder(prefix, rest).ok()?.to)
}
