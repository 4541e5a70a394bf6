//! [`Sink`]: one file object being written into the staging folder.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Timespec, Timestamps};
use updraft_fs::{TempFile, xattr};
use updraft_ostree::{Checksum, FileHeader, ObjectName, ObjectType, RepoMode};

use crate::codec::Deflater;
use crate::ostreemeta::{OSTREEMETA, attribute, bare_user_permissions, encode};
use crate::room::Hold;
use crate::{Error, Result, Transaction, split_xattrs};

/// The mode of the files of metadata objects and of archived files.
pub(crate) const OBJECT_MODE: u32 = 0o644;
/// What is done with room on the disk.
const WHAT: &str = "write objects";

/// A regular file on its way into the repository. It has no name until [`Sink::finish`], and no
/// owner, mode or xattrs of its own either: a set-uid file is never reachable half-written.
pub(crate) struct Sink<'a> {
    transaction: &'a Transaction,
    temp: TempFile,
    deflater: Option<Deflater>,
    /// Given back when the object is not stored.
    hold: Hold,
    /// Whether room is taken as bytes come, since nobody knew how many.
    counts: bool,
}

impl<'a> Sink<'a> {
    /// Begins an object. `size` is what will be written in all.
    pub(crate) fn new(
        transaction: &'a Transaction,
        header: &FileHeader,
        size: u64,
    ) -> Result<Self> {
        let mut hold = transaction.room.hold(WHAT);
        hold.grow(size)?;
        let mut sink = Self { hold, counts: false, ..Self::raw(transaction)? };
        if transaction.repo().mode() == RepoMode::Archive {
            sink.write_raw(&header.encode_archive(size))?;
            if !header.is_symlink() {
                sink.deflater = Some(Deflater::take(transaction.config.zlib_level));
            }
        }
        Ok(sink)
    }

    /// Begins a file whose bytes are stored as they come.
    pub(crate) fn raw(transaction: &'a Transaction) -> Result<Self> {
        let temp = TempFile::new_in(&transaction.staging.dir)?;
        let hold = transaction.room.hold(WHAT);
        Ok(Self { transaction, temp, deflater: None, hold, counts: true })
    }

    /// Adds content.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.try_write(data).map_err(|error| Error::io("write an object", error))
    }

    pub(crate) fn try_write(&mut self, data: &[u8]) -> io::Result<()> {
        if self.counts {
            self.hold.try_grow(data.len() as u64)?;
        }
        let temp = &mut self.temp;
        match &mut self.deflater {
            None => temp.write_all(data),
            Some(deflater) => deflater.push(data, &mut |piece| temp.write_all(piece)),
        }
    }

    fn write_raw(&mut self, data: &[u8]) -> Result<()> {
        self.temp.write_all(data).map_err(|error| Error::io("write an object", error))
    }

    /// The file that is written to, for copies that the kernel makes.
    pub(crate) fn file(&self) -> &std::fs::File {
        self.temp.file()
    }

    /// Gives the object its owner, mode, xattrs, time and name. `false` when the name was taken
    /// meanwhile, which means that the object is there.
    pub(crate) fn finish(mut self, header: &FileHeader, checksum: &Checksum) -> Result<bool> {
        if let Some(mut deflater) = self.deflater.take() {
            let temp = &mut self.temp;
            deflater
                .finish(&mut |piece| temp.write_all(piece))
                .map_err(|error| Error::io("write an object", error))?;
            deflater.give_back();
        }
        self.transaction.sealing.seal(&mut self.temp)?;
        self.set_attributes(header)?;
        if self.transaction.repo().mode() == RepoMode::BareSplitXattrs {
            split_xattrs::store(self.transaction, header, checksum)?;
        }
        let object = ObjectName::new(*checksum, ObjectType::File);
        let path = object.loose_path(self.transaction.repo().mode());
        self.name(&path)
    }

    /// Gives a file without attributes of its own its name.
    pub(crate) fn finish_plain(mut self, path: &str) -> Result<bool> {
        self.transaction.sealing.seal(&mut self.temp)?;
        self.temp.set_mode(OBJECT_MODE)?;
        self.name(path)
    }

    /// As [`Self::finish_plain`], replacing what has the name.
    pub(crate) fn finish_replacing(self, path: &str) -> Result<()> {
        self.temp.set_mode(OBJECT_MODE)?;
        if self.transaction.config.fsync && self.transaction.config.per_object_fsync {
            self.temp.sync()?;
        }
        self.transaction.staging.make_room(path)?;
        self.temp.persist_replace(&self.transaction.staging.dir, path)?;
        self.hold.keep();
        Ok(())
    }

    fn name(self, path: &str) -> Result<bool> {
        if self.transaction.config.fsync && self.transaction.config.per_object_fsync {
            self.temp.sync()?;
        }
        self.transaction.staging.make_room(path)?;
        let is_new = self.temp.persist_new(&self.transaction.staging.dir, path)?;
        if is_new {
            self.hold.keep();
        }
        Ok(is_new)
    }

    fn set_attributes(&self, header: &FileHeader) -> Result<()> {
        let file = self.temp.file();
        match self.transaction.repo().mode() {
            RepoMode::Archive => return Ok(self.temp.set_mode(OBJECT_MODE)?),
            RepoMode::Bare => {
                self.set_owner(header)?;
                if !self.transaction.config.disable_xattrs {
                    for (name, value) in header.xattrs.iter() {
                        xattr::set(file, attribute(name), value)?;
                    }
                }
                // Last: a change of owner takes set-uid away.
                self.temp.set_mode(header.permissions())?;
            }
            RepoMode::BareSplitXattrs => {
                self.set_owner(header)?;
                self.temp.set_mode(header.permissions())?;
            }
            RepoMode::BareUser => {
                xattr::set(file, OSTREEMETA, &encode(header))?;
                let link = header.is_symlink();
                let mode = if link { OBJECT_MODE } else { bare_user_permissions(header.mode) };
                self.temp.set_mode(mode)?;
            }
            RepoMode::BareUserOnly => self.temp.set_mode(header.permissions())?,
        }
        set_object_time(file)
    }

    /// Nearly all files of a system belong to who writes them, and do from the beginning.
    fn set_owner(&self, header: &FileHeader) -> Result<()> {
        if (header.uid, header.gid) != self.transaction.staging.owner {
            self.temp.set_owner(header.uid, header.gid)?;
        }
        Ok(())
    }
}

/// Gives a file the time that all objects have: none.
pub(crate) fn set_object_time(file: &std::fs::File) -> Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::fs::futimens(file, &Timestamps { last_access: zero, last_modification: zero })
        .map_err(|errno| Error::io("set the time of an object", errno.into()))
}

/// Stores a real symbolic link (all bare modes but bare-user).
pub(crate) fn store_symlink(
    transaction: &Transaction,
    header: &FileHeader,
    target: &str,
    path: &str,
) -> Result<bool> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let dir = &transaction.staging.dir;
    // The staging folder is ours alone, so a counter and our process make a free name.
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = format!("link-{}-{number}", std::process::id());
    dir.try_unlink(&temporary)?;
    dir.symlink(target, &temporary)?;
    let mode = transaction.repo().mode();
    if matches!(mode, RepoMode::Bare | RepoMode::BareSplitXattrs) {
        dir.chown(&temporary, header.uid, header.gid)?;
    }
    if mode == RepoMode::Bare && !transaction.config.disable_xattrs {
        for (name, value) in header.xattrs.iter() {
            xattr::set_at(dir, &temporary, attribute(name), value)?;
        }
    }
    dir.set_mtime(&temporary, 0)?;
    transaction.staging.make_room(path)?;
    match dir.rename_new(Path::new(&temporary), dir, path) {
        Ok(()) => Ok(true),
        Err(error) if error.is_already_exists() => {
            dir.unlink(&temporary)?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
