//! Taking a file of the caller's as an object, by a further name for the same file.
//!
//! Only where the repository keeps files as they are, only when owner, mode and xattrs are those
//! that the object has, and only when the caller gives the file away: from then on it must not
//! change.

use std::fs::File;
use std::path::Path;

use updraft_fs::{Dir, Metadata, xattr};
use updraft_ostree::{FileHeader, ObjectName, ObjectType, RepoMode};

use crate::ostreemeta::from_source;
use crate::sink::set_object_time;
use crate::store::{Stored, hash_file};
use crate::transaction::count;
use crate::{Error, Result, Transaction};

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

impl Transaction {
    /// Stores the open regular file `name` of `dir` without copying it. `None` when it has to be
    /// copied. `metadata` is that of the open file.
    pub(crate) fn adopt_file(
        &self,
        header: &FileHeader,
        (dir, name): (&Dir, &Path),
        (file, metadata): (&File, &Metadata),
        buffer: &mut [u8],
    ) -> Result<Option<Stored>> {
        // Where objects are sealed they are copied: sealing needs a file that nobody has open.
        if self.sealing.is_active() || !self.is_alike(header, file, metadata)? {
            return Ok(None);
        }
        let checksum = hash_file(header, file, metadata.size, buffer)?;
        self.check_storable(header, &checksum)?;
        let object = ObjectName::new(checksum, ObjectType::File);
        if self.has_object(&object)? {
            count(&self.counts.content_total, 1);
            return Ok(Some(Stored { checksum, is_new: false }));
        }
        let path = object.loose_path(self.repo().mode());
        self.staging.make_room(&path)?;
        let staging = &self.staging.dir;
        if staging.link(dir, name, &path).is_err() {
            // Another file system, too many links, or another thread's: a copy finds out.
            return Ok(None);
        }
        let linked = staging.metadata(&path)?;
        if (linked.device, linked.inode) != (metadata.device, metadata.inode) {
            // Somebody put another file in the place of the one that was hashed.
            staging.unlink(&path)?;
            return Ok(None);
        }
        set_object_time(file)?;
        if self.config.fsync && self.config.per_object_fsync {
            file.sync_all().map_err(|error| Error::io("make an object durable", error))?;
        }
        count(&self.counts.content_total, 1);
        self.count_content(true, metadata.size);
        Ok(Some(Stored { checksum, is_new: true }))
    }

    /// Whether the file on disk is what the object would be.
    fn is_alike(&self, header: &FileHeader, file: &File, metadata: &Metadata) -> Result<bool> {
        let same_mode = metadata.mode & PERMISSIONS == header.permissions();
        match self.repo().mode() {
            RepoMode::Archive | RepoMode::BareUser | RepoMode::BareSplitXattrs => Ok(false),
            RepoMode::BareUserOnly => Ok(same_mode),
            RepoMode::Bare => {
                let same_owner = (metadata.uid, metadata.gid) == (header.uid, header.gid);
                Ok(same_mode && same_owner && from_source(xattr::all(file)?)? == header.xattrs)
            }
        }
    }
}
