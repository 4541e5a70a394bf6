//! Taking a file of the caller's as an object, by a further name for the same file.
//!
//! Only where the repository keeps files as they are, only when owner, mode and xattrs are those
//! that the object has, and only when the caller gives the file away: from then on it must not
//! change.

use std::fs::File;
use std::path::Path;

use updraft_fs::{Dir, Metadata, xattr};
use updraft_ostree::{FileHeader, ObjectName, ObjectType, RepoMode, Xattrs};

use crate::ostreemeta::from_source;
use crate::sink::set_object_time;
use crate::store::{Stored, hash_file};
use crate::transaction::count;
use crate::{Error, Result, Transaction};

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// An open regular file of the caller's, as it is on the disk.
pub(crate) struct OwnFile<'a> {
    pub(crate) file: &'a File,
    pub(crate) metadata: &'a Metadata,
    /// `None` when nobody has read them yet.
    pub(crate) xattrs: Option<Xattrs>,
}

impl Transaction {
    /// Stores the file, which is `name` of `dir`, without copying it. `None` when it has to be
    /// copied.
    pub(crate) fn adopt_file(
        &self,
        header: &FileHeader,
        (dir, name): (&Dir, &Path),
        own: OwnFile<'_>,
        buffer: &mut [u8],
    ) -> Result<Option<Stored>> {
        let OwnFile { file, metadata, .. } = own;
        // Where objects are sealed they are copied: sealing needs a file that nobody has open.
        if self.sealing.is_active() || !self.is_alike(header, own)? {
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
    fn is_alike(&self, header: &FileHeader, own: OwnFile<'_>) -> Result<bool> {
        let OwnFile { file, metadata, xattrs } = own;
        let same_mode = metadata.mode & PERMISSIONS == header.permissions();
        match self.repo().mode() {
            RepoMode::Archive | RepoMode::BareUser | RepoMode::BareSplitXattrs => Ok(false),
            RepoMode::BareUserOnly => Ok(same_mode),
            RepoMode::Bare => {
                let same_owner = (metadata.uid, metadata.gid) == (header.uid, header.gid);
                if !same_mode || !same_owner {
                    return Ok(false);
                }
                let xattrs = xattrs.map_or_else(|| from_source(xattr::all(file)?), Ok)?;
                Ok(xattrs == header.xattrs)
            }
        }
    }
}
