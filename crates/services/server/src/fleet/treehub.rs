//! The OSTree repository: what devices pull from and operators push to.
//!
//! Objects are verified while they are received and durable before they are acknowledged; a
//! branch is only moved to a commit that is here.

use std::io::Read;

use updraft_api::EventKind;
use updraft_ostree::{Checksum, ObjectName, ObjectType, RefName, Refspec};
use updraft_repo::{Imported, Repo};
use updraft_task::Context;

use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::storage::events::{self, NewEvent};

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
        content: impl Read,
    ) -> Result<bool> {
        use updraft_error::{Classify as _, Kind};
        let imported = self.treehub.import_archive_object(context, object, content);
        match imported {
            Ok(Imported::Stored) => Ok(true),
            Ok(Imported::Existed) => Ok(false),
            Err(error) if matches!(error.kind(), Kind::Invalid | Kind::Rejected) => {
                let reason = crate::error::chain(&error);
                Err(Error::Rejected { code: "object_refused", what: "the object", reason })
            }
            Err(error) => Err(Error::repo("store the object")(error)),
        }
    }

    /// Moves a branch to a commit that is here.
    pub fn set_branch(&self, operator: &Operator, name: &str, commit: &str) -> Result<()> {
        let name: RefName =
            name.parse().map_err(|error| Error::invalid("the branch name", error))?;
        let commit = self.require_commit(commit)?;
        let refspec = Refspec { remote: None, name };
        self.treehub.set_ref(&refspec, Some(&commit)).map_err(Error::repo("move the branch"))?;
        let now = self.now();
        let actor = operator.actor();
        let message = format!("branch {} is at {commit} now", refspec.name);
        let event = NewEvent::new(EventKind::RefUpdated, &actor, message);
        self.database.write("append an event", |tx| events::append(tx, now, &event))
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
