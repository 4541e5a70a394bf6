//! Storing objects of another local repository: by hard link where both are alike, else by copy.

use std::io::BufReader;

use updraft_fs::Dir;
use updraft_ostree::{ObjectName, ObjectType, RepoMode};

use crate::import::Imported;
use crate::object::{check_hash, check_metadata};
use crate::transaction::count;
use crate::{Error, FileObject, Repo, Result, Transaction};

/// What is read first of an archived file.
const SMALL: usize = 8 << 10;

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
    /// Stores an object of `source` that is not here yet, as far as the caller knows.
    pub(crate) fn import_from(
        &self,
        source: &Repo,
        object: &ObjectName,
        trust: Trust,
    ) -> Result<Imported> {
        let source = source.holder(object)?.ok_or(Error::NoSuchObject(*object))?;
        if object.object_type.is_metadata() {
            let bytes = source.read_metadata(object)?;
            return self.import_metadata(object, &bytes);
        }
        let alike = source.mode() == self.repo().mode();
        // Where xattrs are files of their own an object is more than one file.
        if alike && source.mode() != RepoMode::BareSplitXattrs {
            if trust == Trust::Verify {
                source.verify_object(object)?;
            }
            if self.canonical_modes {
                let header = source.open_file(&object.checksum)?.header;
                self.check_storable(&header, &object.checksum)?;
            }
            // Another's file is not ours to seal: where objects are sealed they are copied.
            if !self.sealing.is_active() && self.try_link(source, object)? {
                count(&self.counts.content_total, 1);
                count(&self.counts.content_written, 1);
                return Ok(Imported::Stored);
            }
        }
        if trust == Trust::Trusted && self.try_link_canonical(source, object)? {
            count(&self.counts.content_total, 1);
            count(&self.counts.content_written, 1);
            return Ok(Imported::Stored);
        }
        if source.mode() == RepoMode::Archive {
            let file = source.objects_dir().try_open_file(object.loose_path(RepoMode::Archive));
            let file = file.map_err(Error::unreadable(object))?;
            let file = file.ok_or(Error::NoSuchObject(*object))?;
            // One read has the frame, the header and all of a small file.
            let file = BufReader::with_capacity(SMALL, file);
            return self.import_absent(object, file);
        }
        self.copy_unpacked(source, object)
    }

    /// Bare-user → bare-user-only: a file that such a repository can hold is the same there, but
    /// for an xattr that it does not look at.
    fn try_link_canonical(&self, source: &Repo, object: &ObjectName) -> Result<bool> {
        let modes = (source.mode(), self.repo().mode());
        if modes != (RepoMode::BareUser, RepoMode::BareUserOnly) || self.sealing.is_active() {
            return Ok(false);
        }
        let header = source.open_file(&object.checksum)?.header;
        self.check_storable(&header, &object.checksum)?;
        let path = object.loose_path(RepoMode::BareUser);
        let found = source.objects_dir().metadata(&path)?;
        let same_mode = found.mode & 0o7777 == header.permissions();
        Ok(!header.is_symlink() && same_mode && self.try_link(source, object)?)
    }

    /// Stores a metadata object of `source`, whose bytes these are, by a hard link. `false` when
    /// that cannot be.
    pub(crate) fn link_metadata(
        &self,
        source: &Repo,
        object: &ObjectName,
        bytes: &[u8],
    ) -> Result<bool> {
        check_hash(object, bytes)?;
        check_metadata(object, bytes)?;
        // Metadata objects are the same files in repositories of all modes.
        if object.object_type == ObjectType::CommitMeta || self.has_object(object)? {
            return Ok(false);
        }
        let linked = self.try_link(source, object)?;
        count(&self.counts.metadata_total, u64::from(linked));
        count(&self.counts.metadata_written, u64::from(linked));
        Ok(linked)
    }

    /// Gives a file of a repository of the same mode a further name here. `false` when that cannot
    /// be.
    fn try_link(&self, source: &Repo, object: &ObjectName) -> Result<bool> {
        if self.copies {
            return Ok(false);
        }
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
