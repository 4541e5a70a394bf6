//! Storing objects that are made here.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};
use updraft_error::Kind;
use updraft_fs::PageBuffer;
use updraft_ostree::{
    Checksum, FileHeader, MAX_METADATA_SIZE, Metadata, ObjectName, ObjectType, RepoMode,
};

use crate::ostreemeta::{check_bare_user_only, check_canonical_mode};
use crate::sink::{Sink, store_symlink};
use crate::transaction::count;
use crate::{Error, Repo, Result, Transaction, split_xattrs};

/// What is read at once; smaller files are read only once.
pub(crate) const CHUNK: usize = 256 << 10;

/// An object in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub checksum: Checksum,
    /// Whether the repository did not have it before.
    pub is_new: bool,
}

impl Transaction {
    /// Stores a metadata object made here.
    pub fn write_metadata(&self, object_type: ObjectType, bytes: &[u8]) -> Result<Stored> {
        let checksum = Checksum::of(bytes);
        let object = ObjectName::new(checksum, object_type);
        let is_new = self.store_metadata(&object, bytes)?;
        Ok(Stored { checksum, is_new })
    }

    /// Stores what is kept beside a commit, replacing what was.
    pub fn write_commit_meta(&self, commit: &Checksum, metadata: &Metadata) -> Result<()> {
        let object = ObjectName::new(*commit, ObjectType::CommitMeta);
        self.store_metadata(&object, &metadata.encode()).map(drop)
    }

    pub(crate) fn store_metadata(&self, object: &ObjectName, bytes: &[u8]) -> Result<bool> {
        if bytes.len() > MAX_METADATA_SIZE {
            let message = format!(
                "store object {object}: {} bytes exceed the limit of {MAX_METADATA_SIZE}",
                bytes.len()
            );
            return Err(Error::other(Kind::Exhausted, message));
        }
        count(&self.counts.metadata_total, 1);
        let rewritten = object.object_type == ObjectType::CommitMeta;
        if !rewritten && self.has_object(object)? {
            return Ok(false);
        }
        let path = object.loose_path(self.repo().mode());
        let mut sink = Sink::raw(self)?;
        sink.write(bytes)?;
        let is_new = if rewritten {
            sink.finish_replacing(&path)?;
            true
        } else {
            sink.finish_plain(&path)?
        };
        count(&self.counts.metadata_written, u64::from(is_new));
        Ok(is_new)
    }

    /// Stores a symbolic link.
    pub fn write_symlink(&self, header: &FileHeader) -> Result<Stored> {
        let checksum = header.checksum(b"");
        count(&self.counts.content_total, 1);
        let is_new = self.store_symlink_at(header, &checksum)?;
        Ok(Stored { checksum, is_new })
    }

    pub(crate) fn store_symlink_at(
        &self,
        header: &FileHeader,
        checksum: &Checksum,
    ) -> Result<bool> {
        let object = ObjectName::new(*checksum, ObjectType::File);
        self.check_storable(header, checksum)?;
        if self.has_object(&object)? {
            return Ok(false);
        }
        let target = header.symlink_target.as_deref().unwrap_or_default();
        let is_new = match self.repo().mode() {
            RepoMode::Archive => Sink::new(self, header, 0)?.finish(header, checksum)?,
            RepoMode::BareUser => {
                let mut sink = Sink::new(self, header, target.len() as u64)?;
                sink.write(target.as_bytes())?;
                sink.write(&[0])?;
                sink.finish(header, checksum)?
            }
            RepoMode::Bare | RepoMode::BareUserOnly | RepoMode::BareSplitXattrs => {
                if self.repo().mode() == RepoMode::BareSplitXattrs {
                    split_xattrs::store(self, header, checksum)?;
                }
                let path = object.loose_path(self.repo().mode());
                store_symlink(self, header, target, &path)?
            }
        };
        self.count_content(is_new, 0);
        Ok(is_new)
    }

    /// Stores a regular file whose bytes come from `reader`; there must be `size` of them.
    ///
    /// A file that fits into one buffer is hashed first and written only when it is missing.
    /// Larger ones are written while they are hashed.
    pub fn write_file(
        &self,
        header: &FileHeader,
        size: u64,
        reader: &mut dyn Read,
    ) -> Result<Stored> {
        count(&self.counts.content_total, 1);
        let mut buffer = PageBuffer::new(CHUNK.min(usize::try_from(size).unwrap_or(CHUNK).max(1)));
        if size <= buffer.len() as u64 {
            let filled = fill(reader, &mut buffer)?;
            return self.store_bytes(header, &buffer[..filled], size);
        }
        let mut sink = Sink::new(self, header, size)?;
        let mut hash = start(header);
        let mut seen = 0;
        loop {
            let filled = fill(reader, &mut buffer)?;
            seen += filled as u64;
            if filled == 0 || seen > size {
                break;
            }
            hash.update(&buffer[..filled]);
            sink.write(&buffer[..filled])?;
        }
        check_size(seen, size)?;
        let checksum = Checksum::finish(hash);
        self.check_storable(header, &checksum)?;
        let is_new = !self.has_object(&ObjectName::new(checksum, ObjectType::File))?
            && sink.finish(header, &checksum)?;
        self.count_content(is_new, size);
        Ok(Stored { checksum, is_new })
    }

    /// Stores a regular file with exactly these bytes.
    pub fn write_bytes(&self, header: &FileHeader, bytes: &[u8]) -> Result<Stored> {
        count(&self.counts.content_total, 1);
        self.store_bytes(header, bytes, bytes.len() as u64)
    }

    fn store_bytes(&self, header: &FileHeader, bytes: &[u8], size: u64) -> Result<Stored> {
        check_size(bytes.len() as u64, size)?;
        let mut hash = start(header);
        hash.update(bytes);
        let checksum = Checksum::finish(hash);
        self.check_storable(header, &checksum)?;
        if self.has_object(&ObjectName::new(checksum, ObjectType::File))? {
            return Ok(Stored { checksum, is_new: false });
        }
        let mut sink = Sink::new(self, header, size)?;
        sink.write(bytes)?;
        let is_new = sink.finish(header, &checksum)?;
        self.count_content(is_new, size);
        Ok(Stored { checksum, is_new })
    }

    /// Stores an open file. It is hashed first; what the repository has is never written.
    pub(crate) fn write_open_file(
        &self,
        header: &FileHeader,
        file: &File,
        size: u64,
        buffer: &mut [u8],
    ) -> Result<Stored> {
        count(&self.counts.content_total, 1);
        let mut reader = file;
        if size <= buffer.len() as u64 {
            let filled = fill(&mut reader, buffer)?;
            return self.store_bytes(header, &buffer[..filled], size);
        }
        let checksum = hash_file(header, file, size, buffer)?;
        self.check_storable(header, &checksum)?;
        if self.has_object(&ObjectName::new(checksum, ObjectType::File))? {
            return Ok(Stored { checksum, is_new: false });
        }
        self.copy_open_file(header, file, size, buffer)
    }

    /// Second pass over a large file: copies it, hashing what is copied, so that a file changed in
    /// between is still stored under its right name.
    fn copy_open_file(
        &self,
        header: &FileHeader,
        file: &File,
        size: u64,
        buffer: &mut [u8],
    ) -> Result<Stored> {
        let rewind = |file| {
            rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))
                .map_err(|errno| Error::io("read a file again", errno.into()))
        };
        rewind(file)?;
        let mut sink = Sink::new(self, header, size)?;
        let cloned =
            self.repo().mode().is_bare() && rustix::fs::ioctl_ficlone(sink.file(), file).is_ok();
        let checksum = if cloned {
            hash_file(header, sink.file(), size, buffer)?
        } else {
            let mut hash = start(header);
            let mut seen = 0;
            let mut reader = file;
            loop {
                let filled = fill(&mut reader, buffer)?;
                seen += filled as u64;
                if filled == 0 || seen > size {
                    break;
                }
                hash.update(&buffer[..filled]);
                sink.write(&buffer[..filled])?;
            }
            check_size(seen, size)?;
            Checksum::finish(hash)
        };
        let is_new = sink.finish(header, &checksum)?;
        self.count_content(is_new, size);
        Ok(Stored { checksum, is_new })
    }

    /// Whether this repository's mode can hold a file with this header.
    pub(crate) fn check_storable(&self, header: &FileHeader, checksum: &Checksum) -> Result<()> {
        split_xattrs::check_writable(self.repo())?;
        if self.repo().mode() == RepoMode::BareUserOnly {
            check_bare_user_only(header, &checksum.to_hex())?;
        } else if self.canonical_modes {
            check_canonical_mode(header, &checksum.to_hex())?;
        }
        Ok(())
    }

    pub(crate) fn count_content(&self, is_new: bool, bytes: u64) {
        if is_new {
            count(&self.counts.content_written, 1);
            count(&self.counts.content_bytes, bytes);
        }
    }
}

impl Repo {
    /// Replaces what is kept beside a commit, in a transaction of its own.
    pub fn write_commit_meta(
        &self,
        ctx: &updraft_task::Context,
        commit: &Checksum,
        metadata: &Metadata,
    ) -> Result<()> {
        let transaction = self.transaction(ctx)?;
        transaction.write_commit_meta(commit, metadata)?;
        transaction.commit(ctx).map(drop)
    }
}

/// A hash that has seen the header.
pub(crate) fn start(header: &FileHeader) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(header.encode_content());
    hash
}

pub(crate) fn hash_file(
    header: &FileHeader,
    file: &File,
    size: u64,
    buffer: &mut [u8],
) -> Result<Checksum> {
    let mut hash = start(header);
    let mut at = 0;
    while at < size {
        let read = rustix::io::pread(file, &mut *buffer, at)
            .map_err(|errno| Error::io("read a file", errno.into()))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        at += read as u64;
    }
    check_size(at, size)?;
    Ok(Checksum::finish(hash))
}

/// Fills the buffer as far as the stream goes.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read a file", error)),
        }
    }
    Ok(filled)
}

fn check_size(seen: u64, size: u64) -> Result<()> {
    if seen == size {
        return Ok(());
    }
    let message =
        format!("read a file: it has {seen} bytes where {size} were expected; it changes");
    Err(Error::other(Kind::Conflict, message))
}
