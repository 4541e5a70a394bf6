//! Extended attributes: of open files, and of names in a directory without following links.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::{Dir, Error, Result, fault};

/// The largest list of names and the largest value that Linux gives (`XATTR_LIST_MAX`,
/// `XATTR_SIZE_MAX`).
const SYSTEM_LIMIT: usize = 65536;
/// What is tried first; nearly all attributes are short.
const FIRST_TRY: usize = 256;

/// The attribute `name` of an open file, or `None`.
pub fn get(fd: impl AsFd, name: impl AsRef<OsStr>) -> Result<Option<Vec<u8>>> {
    let name = name.as_ref();
    let fd = fd.as_fd();
    value(read(|buffer| rustix::fs::fgetxattr(fd, name, buffer)))
        .map_err(|errno| Error::new("read the attribute", name, errno.into()))
}

/// The attribute `attribute` of `name` in `dir`, or `None`. Links are not followed.
pub fn get_at(
    dir: &Dir,
    name: impl AsRef<Path>,
    attribute: impl AsRef<OsStr>,
) -> Result<Option<Vec<u8>>> {
    let (name, attribute) = (name.as_ref(), attribute.as_ref());
    let path = dir.proc_path(name);
    value(read(|buffer| rustix::fs::lgetxattr(&path, attribute, buffer)))
        .map_err(|errno| Error::new("read an attribute of", dir.path().join(name), errno.into()))
}

/// Sets the attribute `name` of an open file, replacing what it had.
pub fn set(fd: impl AsFd, name: impl AsRef<OsStr>, value: &[u8]) -> Result<()> {
    let name = name.as_ref();
    fault::check()
        .and_then(|()| rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()))
        .map_err(|errno| Error::new("set the attribute", name, errno.into()))
}

/// Sets the attribute `attribute` of `name` in `dir`. Links are not followed.
pub fn set_at(
    dir: &Dir,
    name: impl AsRef<Path>,
    attribute: impl AsRef<OsStr>,
    value: &[u8],
) -> Result<()> {
    let name = name.as_ref();
    fault::check()
        .and_then(|()| {
            let path = dir.proc_path(name);
            rustix::fs::lsetxattr(&path, attribute.as_ref(), value, XattrFlags::empty())
        })
        .map_err(|errno| Error::new("set an attribute of", dir.path().join(name), errno.into()))
}

/// Removes the attribute `name` of an open file; says whether it had it.
pub fn remove(fd: impl AsFd, name: impl AsRef<OsStr>) -> Result<bool> {
    let name = name.as_ref();
    match fault::check().and_then(|()| rustix::fs::fremovexattr(fd, name)) {
        Ok(()) => Ok(true),
        Err(Errno::NODATA) => Ok(false),
        Err(errno) => Err(Error::new("remove the attribute", name, errno.into())),
    }
}

/// The names of all attributes of an open file, sorted. Empty where there are no attributes.
pub fn list(fd: impl AsFd) -> Result<Vec<OsString>> {
    let fd = fd.as_fd();
    names(read(|buffer| rustix::fs::flistxattr(fd, buffer)))
        .map_err(|errno| Error::new("list attributes of", "an open file", errno.into()))
}

/// The names of all attributes of `name` in `dir`, sorted. Links are not followed.
pub fn list_at(dir: &Dir, name: impl AsRef<Path>) -> Result<Vec<OsString>> {
    let name = name.as_ref();
    let path = dir.proc_path(name);
    names(read(|buffer| rustix::fs::llistxattr(&path, buffer)))
        .map_err(|errno| Error::new("list attributes of", dir.path().join(name), errno.into()))
}

/// All attributes of an open file, sorted by name.
pub fn all(fd: impl AsFd) -> Result<Vec<(OsString, Vec<u8>)>> {
    let fd = fd.as_fd();
    collect(list(fd)?, |name| get(fd, name))
}

/// All attributes of `name` in `dir`, sorted by name. Links are not followed.
pub fn all_at(dir: &Dir, name: impl AsRef<Path>) -> Result<Vec<(OsString, Vec<u8>)>> {
    let name = name.as_ref();
    collect(list_at(dir, name)?, |attribute| get_at(dir, name, attribute))
}

/// Pairs names with values; one that vanished in between is left out.
fn collect(
    names: Vec<OsString>,
    get: impl Fn(&OsStr) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<(OsString, Vec<u8>)>> {
    let pair = |name: OsString| Ok(get(&name)?.map(|value| (name, value)));
    names.into_iter().filter_map(|name| pair(name).transpose()).collect()
}

/// Calls `call` with a small buffer, then with the largest that can be needed.
fn read(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0; FIRST_TRY];
    match call(&mut small) {
        Ok(length) => Ok(small.get(..length).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; SYSTEM_LIMIT];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(errno) => Err(errno),
    }
}

fn value(read: rustix::io::Result<Vec<u8>>) -> rustix::io::Result<Option<Vec<u8>>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn names(read: rustix::io::Result<Vec<u8>>) -> rustix::io::Result<Vec<OsString>> {
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let mut names: Vec<OsString> = bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect();
    names.sort_unstable();
    Ok(names)
}
