//! Storing objects of another local repository: by hard link where both are alike, else by copy.

use updraft_fs::Dir;
use updraft_ostree::{ObjectName, ObjectType, RepoMode};

use crate::import::Imported;
use crate::transaction::count;
use crate::{Error, FileObject, Repo, Result, Transaction};

/// Whether another repository's objects are what their names say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// They are; they may be linked unread.
    Trusted,
    /// Each is read and hashed.
    #[default]
    Verify,
}

impl Transaction {
    /// Stores an object of `source`.
    pub fn import_from(
        &self,
        source: &Repo,
        object: &ObjectName,
        trust: Trust,
    ) -> Result<Imported> {
        let rewritten = object.object_type == ObjectType::CommitMeta;
        if !rewritten && self.has_object(object)? {
            return Ok(Imported::Existed);
        }
        if object.object_type.is_metadata() {
            let bytes = source.read_metadata(object)?;
            return self.import_metadata(object, &bytes);
        }
        if source.mode() == self.repo().mode() {
            if trust == Trust::Verify {
                source.verify_object(object)?;
            }
            if self.try_link(source, object)? {
                count(&self.counts.content_total, 1);
                count(&self.counts.content_written, 1);
                return Ok(Imported::Stored);
            }
        }
        if source.mode() == RepoMode::Archive {
            let file = source.objects_dir().try_open_file(object.loose_path(RepoMode::Archive));
            let file = file.map_err(Error::unreadable(object))?;
            return self.import_archive_object(object, file.ok_or(Error::NoSuchObject(*object))?);
        }
        self.copy_unpacked(source, object)
    }

    /// Gives a file of a repository of the same mode a further name here. `false` when that cannot
    /// be.
    fn try_link(&self, source: &Repo, object: &ObjectName) -> Result<bool> {
        let path = object.loose_path(source.mode());
        self.staging.make_room(&path)?;
        Ok(link_or_not(&self.staging.dir, source.objects_dir(), &path)? != Linked::Impossible)
    }

    /// Bare → any mode: the content is read, hashed and stored as this repository stores it.
    fn copy_unpacked(&self, source: &Repo, object: &ObjectName) -> Result<Imported> {
        let FileObject { header, size, mut reader } = source.open_file(&object.checksum)?;
        let stored = if header.is_symlink() {
            let actual = header.checksum(b"");
            if actual != object.checksum {
                return Err(Error::Corrupt { object: *object, actual });
            }
            self.write_symlink(&header)?
        } else {
            // A wrong object is stored under its own right name, where nobody looks for it; the
            // caller gives up and the staging folder is cleaned later.
            self.write_file(&header, size, &mut reader)?
        };
        if stored.checksum != object.checksum {
            return Err(Error::Corrupt { object: *object, actual: stored.checksum });
        }
        Ok(if stored.is_new { Imported::Stored } else { Imported::Existed })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linked {
    Now,
    Before,
    Impossible,
}

fn link_or_not(target: &Dir, source: &Dir, path: &str) -> Result<Linked> {
    use std::io::ErrorKind as Io;
    match target.link(source, path, path) {
        Ok(()) => Ok(Linked::Now),
        Err(error) => match error.io_kind() {
            Io::AlreadyExists => Ok(Linked::Before),
            // Another file system, too many links, protected hard links, or simply not there:
            // the copy that follows says what is wrong.
            Io::CrossesDevices
            | Io::TooManyLinks
            | Io::PermissionDenied
            | Io::NotFound
            | Io::Unsupported => Ok(Linked::Impossible),
            _ => Err(error.into()),
        },
    }
}
