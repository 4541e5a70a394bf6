//! Fetching a large file from one mirror to a [`partial`] file, which outlives this process, so
//! that it is gone on with, here or at another mirror.

use updraft_fs::{LockFile, LockMode};
use updraft_http::Stream;

use super::{Error, partial};
use crate::room::Scratch;

/// Opens what a mirror has from an offset on; `None` when it has nothing.
pub(super) type OpenFrom<'a, 's> =
    dyn Fn(u64) -> Result<Option<Stream<'s>>, updraft_http::Error> + 'a;
/// Told how many bytes came.
pub(super) type Count<'a> = dyn Fn(u64) + 'a;

/// A partial file that is ours as long as this lives.
pub(super) struct Resumable<'a> {
    tmp: &'a Scratch,
    name: String,
    lock: LockFile,
}

impl<'a> Resumable<'a> {
    /// `None` when somebody else is fetching the same file for the same repository.
    pub(super) fn begin(tmp: &'a Scratch, name: String) -> Result<Option<Self>, Error> {
        let lock = LockFile::try_acquire(&tmp.dir, &name, LockMode::Exclusive)?;
        Ok(lock.map(|lock| Self { tmp, name, lock }))
    }

    /// What `accept` makes of the whole of what `open` gives; `None` when it gives nothing.
    ///
    /// What an earlier process or another mirror left is the beginning; nothing is asked for when
    /// that is `size` bytes already. It is a cache: when `accept` says with an error that is
    /// `wrong` that the whole is not what it should be, it is thrown away and all is fetched anew,
    /// once.
    pub(super) fn fetch<T>(
        &self,
        size: Option<u64>,
        (open, count): (&OpenFrom<'_, '_>, &Count<'_>),
        accept: impl Fn(&LockFile) -> Result<T, Error>,
        wrong: impl Fn(&Error) -> bool,
    ) -> Result<Option<T>, Error> {
        let mut offset = partial::length(&self.lock)?;
        if size.is_some_and(|size| offset > size) {
            offset = self.start_anew()?;
        }
        loop {
            if size != Some(offset) {
                let mut stream = match open(offset) {
                    Ok(Some(stream)) => stream,
                    Ok(None) => return Ok(None),
                    // More came before, perhaps from another mirror, than there is here.
                    Err(updraft_http::Error::Mismatch { .. }) if offset > 0 => {
                        offset = self.start_anew()?;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let room = &self.tmp.room;
                let received = partial::receive(self.lock.file(), offset, &mut stream, room);
                count(stream.position().saturating_sub(offset));
                self.make_room_after(&received)?;
                received?;
            }
            match accept(&self.lock) {
                // What came before may have been bad.
                Err(error) if wrong(&error) && offset > 0 => offset = self.start_anew()?,
                Err(error) if wrong(&error) => {
                    self.remove()?;
                    return Err(error);
                }
                accepted => {
                    self.make_room_after(&accepted)?;
                    return accepted.map(Some);
                }
            }
        }
    }

    /// Removes the file: nothing of it is of use any more.
    pub(super) fn remove(&self) -> Result<(), Error> {
        partial::remove(&self.lock, self.tmp, &self.name)
    }

    fn start_anew(&self) -> Result<u64, Error> {
        partial::empty(&self.lock, &self.tmp.room)?;
        Ok(0)
    }

    /// When the disk is as full as it may be, nothing may lie there for a later pull.
    fn make_room_after<T>(&self, result: &Result<T, Error>) -> Result<(), Error> {
        if partial::is_full(result) { self.remove() } else { Ok(()) }
    }
}
