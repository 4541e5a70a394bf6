//! How each mode keeps a file's owner, mode and xattrs on disk.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use updraft_error::Kind;
use updraft_ostree::{DirMeta, FileHeader, S_IFMT, Xattrs};

use crate::{Error, Result};

/// The xattr of bare-user repositories: `(uuua(ayay))`, as a dirmeta but with a file's mode.
pub(crate) const OSTREEMETA: &str = "user.ostreemeta";

/// The permission bits that bare-user-only repositories can keep.
const CANONICAL_BITS: u32 = 0o775;

/// The value of `user.ostreemeta` for this file.
pub(crate) fn encode(header: &FileHeader) -> Vec<u8> {
    let FileHeader { uid, gid, mode, xattrs, .. } = header;
    DirMeta { uid: *uid, gid: *gid, mode: *mode, xattrs: xattrs.clone() }.encode()
}

/// The permission bits of a file in a bare-user repository: never set-uid, always readable.
pub(crate) fn bare_user_permissions(mode: u32) -> u32 {
    (mode & 0o775) | 0o400
}

/// Refuses what a bare-user-only repository cannot store.
pub(crate) fn check_bare_user_only(header: &FileHeader, name: &str) -> Result<()> {
    check_canonical_mode(header, name)?;
    if header.uid != 0 || header.gid != 0 || !header.xattrs.is_empty() {
        let message = format!(
            "Content object {name}: a bare-user-only repository keeps neither owner nor xattrs"
        );
        return Err(Error::other(Kind::Unsupported, message));
    }
    Ok(())
}

/// Refuses a file with a mode that bare-user-only repositories cannot hold: one with set-uid,
/// say.
pub(crate) fn check_canonical_mode(header: &FileHeader, name: &str) -> Result<()> {
    let excess = header.mode & !S_IFMT & !CANONICAL_BITS;
    if !header.is_symlink() && excess != 0 {
        let message = format!(
            "Content object {name}: invalid mode 0{:04o} with bits 0{excess:04o}",
            header.mode
        );
        return Err(Error::other(Kind::Unsupported, message));
    }
    Ok(())
}

/// xattrs as read from a file, sorted and checked.
pub(crate) fn from_fs(
    list: Vec<(std::ffi::OsString, Vec<u8>)>,
) -> std::result::Result<Xattrs, updraft_ostree::Error> {
    let list = list.into_iter().map(|(name, value)| (name.into_vec(), value)).collect();
    Xattrs::from_list(list)
}

/// xattrs of a file that is committed. As in libostree, those without a value are left out: a
/// tree must have one name whoever commits it.
pub(crate) fn from_source(mut list: Vec<(std::ffi::OsString, Vec<u8>)>) -> Result<Xattrs> {
    list.retain(|(_, value)| !value.is_empty());
    Ok(from_fs(list)?)
}

/// A stored name as the system wants it.
pub(crate) fn attribute(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
