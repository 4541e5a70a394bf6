//! A part of a file, and the ways to get it out of there.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

/// How much is read at a time of what is only to be in memory afterwards.
const LOADED_AT_A_TIME: usize = 256 * 1024;

/// A part of a file, of which less is left the more was read.
#[derive(Debug, Clone)]
pub struct Section {
    file: Arc<File>,
    next: u64,
    left: u64,
}

impl Section {
    pub(super) fn new(file: &Arc<File>, start: u64, count: u64) -> Self {
        Self { file: Arc::clone(file), next: start, left: count }
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes so many bytes off its beginning, as a section of their own.
    #[must_use]
    pub fn split(&mut self, count: u64) -> Self {
        let count = count.min(self.left);
        let first = Self::new(&self.file, self.next, count);
        self.passed(count);
        first
    }

    /// Reads as far as the kernel has it in memory; none when the disk would have to be waited for
    /// before the first byte.
    pub fn read_cached(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        match cached(&self.file, buffer, self.next)? {
            Some(0) if most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(read) => {
                self.passed(read as u64);
                Ok(Some(read))
            }
            None => Ok(None),
        }
    }

    /// Whether the kernel has its beginning and its end in memory.
    pub fn is_cached(&self) -> io::Result<bool> {
        let last = self.next.saturating_add(self.left).saturating_sub(1);
        for at in [self.next, last] {
            if cached(&self.file, &mut [0], at)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until the kernel has it in memory.
    pub fn load(mut self) -> io::Result<()> {
        let mut buffer = vec![0; LOADED_AT_A_TIME];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Has the kernel send some of it into a socket, so many bytes at most; how many it took.
    pub fn send(&mut self, socket: impl AsFd, most: usize) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        let mut next = self.next;
        let sent = rustix::fs::sendfile(socket, &self.file, Some(&mut next), most)?;
        if sent == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.passed(sent as u64);
        Ok(sent)
    }

    fn passed(&mut self, count: u64) {
        self.next = self.next.saturating_add(count);
        self.left = self.left.saturating_sub(count);
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let read = self.file.read_at(buffer, self.next)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.passed(read as u64);
        Ok(read)
    }
}

/// Reads what the kernel has in memory. None when it has nothing there, or its file system cannot
/// tell (preadv2(2), `RWF_NOWAIT`).
fn cached(file: &File, buffer: &mut [u8], at: u64) -> io::Result<Option<usize>> {
    loop {
        let slices = &mut [IoSliceMut::new(buffer)];
        return match rustix::io::preadv2(file, slices, at, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(Some(read)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use super::Section;

    fn file(content: &[u8]) -> Arc<std::fs::File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    #[test]
    fn a_section_is_read_split_and_sent() {
        let file = file(b"0123456789");
        let mut section = Section::new(&file, 2, 7);
        let mut first = section.split(3);
        assert_eq!((first.left(), section.left()), (3, 4));
        let mut text = String::new();
        first.clone().read_to_string(&mut text).unwrap();
        assert_eq!(text, "234");
        first.clone().load().unwrap();
        assert!(first.is_cached().unwrap(), "it was just read");
        let mut buffer = [0; 8];
        assert_eq!(first.read_cached(&mut buffer).unwrap(), Some(3));
        assert_eq!((&buffer[..3], first.left()), (&b"234"[..], 0));

        let (mut here, there) = UnixStream::pair().unwrap();
        assert_eq!(section.send(&there, 2).unwrap(), 2);
        assert_eq!(section.send(&there, 100).unwrap(), 2);
        drop(there);
        let mut sent = Vec::new();
        here.read_to_end(&mut sent).unwrap();
        assert_eq!((sent.as_slice(), section.left()), (&b"5678"[..], 0));
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let file = file(b"01234");
        let (_here, there) = UnixStream::pair().unwrap();
        let section = || Section::new(&file, 5, 1);
        assert!(section().read_cached(&mut [0; 8]).is_err());
        assert!(section().load().is_err());
        assert!(section().send(&there, 1).is_err());
    }
}
