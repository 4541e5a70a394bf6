//! Parent repositories: where objects are taken from that are not here (`core.parent`).

use updraft_error::Classify as _;
use updraft_ostree::{Checksum, ObjectName, ObjectType};

use crate::config::CORE;
use crate::{Error, FileObject, Repo, Result};

/// The longest chain of parents that is followed.
const MAX_PARENTS: usize = 8;

impl Repo {
    /// The repositories that this one takes objects from without having them: `core.parent`, its
    /// parent, and so on.
    pub(crate) fn parents(&self) -> Result<&[Self]> {
        if let Some(parents) = self.known_parents().get() {
            return Ok(parents);
        }
        let mut parents: Vec<Self> = Vec::new();
        while parents.len() < MAX_PARENTS {
            let child = parents.last().unwrap_or(self);
            let path = child.config().key_file().get(CORE, "parent");
            let Some(path) = path.filter(|path| !path.is_empty()) else { break };
            let parent = Self::open_alone(&path).map_err(|error| not_opened(&path, &error))?;
            parents.push(parent);
        }
        Ok(self.known_parents().get_or_init(|| parents))
    }

    /// The repository that has the object: this one, or a parent.
    pub(crate) fn holder(&self, object: &ObjectName) -> Result<Option<&Self>> {
        if self.place().has(object)? {
            return Ok(Some(self));
        }
        for parent in self.parents()? {
            if parent.place().has(object)? {
                return Ok(Some(parent));
            }
        }
        Ok(None)
    }

    /// Whether the object is here or in a parent. Its content is not looked at.
    pub fn has_object(&self, object: &ObjectName) -> Result<bool> {
        Ok(self.holder(object)?.is_some())
    }

    /// As [`Self::read_metadata`], whatever the bytes hash to.
    pub(crate) fn read_unverified(&self, object: &ObjectName) -> Result<Vec<u8>> {
        if let Some(bytes) = self.place().read(object)? {
            return Ok(bytes);
        }
        for parent in self.parents()? {
            if let Some(bytes) = parent.place().read(object)? {
                return Ok(bytes);
            }
        }
        Err(Error::NoSuchObject(*object))
    }

    /// A file or symbolic link.
    pub fn open_file(&self, checksum: &Checksum) -> Result<FileObject> {
        if let Some(file) = self.place().open_file(checksum)? {
            return Ok(file);
        }
        for parent in self.parents()? {
            if let Some(file) = parent.place().open_file(checksum)? {
                return Ok(file);
            }
        }
        Err(Error::NoSuchObject(ObjectName::new(*checksum, ObjectType::File)))
    }
}

/// Why a parent cannot be opened, in the words of libostree.
fn not_opened(path: &str, error: &Error) -> Error {
    let reason = match error {
        Error::NotARepository { source, .. } if source.is_not_found() => {
            format!("opendir({path}): No such file or directory")
        }
        error => error.to_string(),
    };
    let context = format!("While checking parent repository '{path}': opening repo");
    Error::other(error.kind(), format!("{context}: {reason}"))
}
