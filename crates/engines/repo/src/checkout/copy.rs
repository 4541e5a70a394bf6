//! Copying content, and comparing what is there.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};

use sha2::Digest;
use updraft_fs::{Dir, FileKind, PageBuffer, xattr};
use updraft_ostree::{Checksum, FileHeader, ObjectName, RepoMode};

use super::entry::differs;
use crate::store::start;
use crate::{Error, FileReader, Result};

const BUFFER: usize = 128 << 10;

thread_local! {
    static SCRATCH: Cell<Option<PageBuffer>> = const { Cell::new(None) };
}

/// Calls `work` with the thread's buffer.
fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SCRATCH.take().unwrap_or_else(|| PageBuffer::new(BUFFER));
    let result = work(&mut buffer);
    SCRATCH.set(Some(buffer));
    result
}

/// Copies while hashing; content that is not what the object's name says is an error.
pub(super) fn copy_verified(
    object: &ObjectName,
    (header, size): (&FileHeader, u64),
    reader: &mut FileReader,
    out: &File,
) -> Result<()> {
    let mut hash = start(header);
    let mut seen = 0;
    pump(object, reader, &mut |piece| {
        hash.update(piece);
        seen += piece.len() as u64;
        let mut out = out;
        out.write_all(piece)
    })?;
    let actual = Checksum::finish(hash);
    if actual == object.checksum && seen == size {
        Ok(())
    } else {
        Err(Error::Corrupt { object: *object, actual })
    }
}

/// Copies without a check.
pub(super) fn copy_whole(object: &ObjectName, reader: &mut FileReader, out: &File) -> Result<()> {
    if let Some(file) = reader.file() {
        updraft_fs::copy::contents(file, out)
            .map_err(|error| Error::io(format!("copy object {object}"), error))?;
        return Ok(());
    }
    pump(object, reader, &mut |piece| {
        let mut out = out;
        out.write_all(piece)
    })
}

fn pump(
    object: &ObjectName,
    reader: &mut dyn Read,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    with_buffer(|buffer| {
        loop {
            let read = match reader.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidData
                            | io::ErrorKind::InvalidInput
                            | io::ErrorKind::UnexpectedEof
                    ) =>
                {
                    return Err(Error::broken(object, error.to_string()));
                }
                Err(error) => return Err(Error::io(format!("read object {object}"), error)),
            };
            sink(&buffer[..read])
                .map_err(|error| Error::io(format!("write the file of object {object}"), error))?;
        }
    })
}

/// Refuses a file that is not identical to the object: content, owner, mode, xattrs.
pub(super) fn compare(
    mode: RepoMode,
    dir: &Dir,
    name: &str,
    (objects, path): (&Dir, &str),
) -> Result<()> {
    let (there, ours) = (dir.metadata(name)?, objects.metadata(path)?);
    let same = (there.kind, there.mode, there.uid, there.gid, there.size)
        == (ours.kind, ours.mode, ours.uid, ours.gid, ours.size);
    // The others keep the xattrs that count elsewhere, or none.
    let alike =
        mode != RepoMode::Bare || xattr::all_at(dir, name)? == xattr::all_at(objects, path)?;
    if !same || !alike {
        return Err(differs(dir, name));
    }
    if there.kind == FileKind::Symlink {
        let same = dir.read_link(name)? == objects.read_link(path)?;
        return if same { Ok(()) } else { Err(differs(dir, name)) };
    }
    let mut object = objects.open_file(path)?;
    compare_content(dir, name, ours.size, &mut object)
}

/// Refuses a file whose content is not that of `reader`.
pub(super) fn compare_content(
    dir: &Dir,
    name: &str,
    size: u64,
    reader: &mut dyn Read,
) -> Result<()> {
    let there = dir.metadata(name)?;
    if there.kind != FileKind::Regular || there.size != size {
        return Err(differs(dir, name));
    }
    let failed = |error| Error::io(format!("compare {name}"), error);
    let mut file = dir.open_file(name)?;
    let mut other = PageBuffer::new(BUFFER);
    with_buffer(|buffer| {
        loop {
            let read = reader.read(buffer).map_err(failed)?;
            if read == 0 {
                return Ok(());
            }
            file.read_exact(&mut other[..read]).map_err(failed)?;
            if other[..read] != buffer[..read] {
                return Err(differs(dir, name));
            }
        }
    })
}
