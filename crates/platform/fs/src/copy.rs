//! Copying file content in the cheapest way the file system offers.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::io::Errno;

use crate::{PageBuffer, fault};

/// Bytes moved per call when the kernel does the copying.
const CHUNK: usize = 1 << 30;
/// Bytes per read when we do it.
const BUFFER: usize = 128 << 10;

/// How the content was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Both files share their blocks until one is changed.
    Reflink,
    /// The kernel copied.
    InKernel,
    /// Through a buffer of ours.
    Buffered,
}

/// Copies all of `source`, from its start, to the empty file `target`.
pub fn contents(source: &File, target: &File) -> io::Result<Method> {
    fault::check()?;
    if rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(Method::Reflink);
    }
    if in_kernel(source, target)? {
        return Ok(Method::InKernel);
    }
    buffered(source, target)?;
    Ok(Method::Buffered)
}

/// `false` when the kernel cannot and nothing was copied.
fn in_kernel(source: &File, target: &File) -> io::Result<bool> {
    let (mut from, mut to) = (0u64, 0u64);
    loop {
        match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), CHUNK) {
            // Some file systems answer 0 for files that are not empty.
            Ok(0) => return Ok(from > 0 || source.metadata()?.len() == 0),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM)
                if from == 0 =>
            {
                return Ok(false);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn buffered(mut source: &File, mut target: &File) -> io::Result<()> {
    let mut buffer = PageBuffer::new(BUFFER);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => target.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
