//! Directory metadata: `(uuua(ayay))`, uid, gid and mode big-endian.
//!
//! The same layout, with the mode of a file, is the xattr `user.ostreemeta` of bare-user
//! repositories.

use crate::gvariant::{Member, build_tuple, split_tuple};
use crate::header::u32_be;
use crate::{Checksum, Error, S_IFDIR, S_IFMT, Xattrs};

const WHAT: &str = "dirmeta";

/// Owner, mode and xattrs of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirMeta {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl DirMeta {
    /// The metadata of a directory with these permissions.
    #[must_use]
    pub fn new(uid: u32, gid: u32, permissions: u32, xattrs: Xattrs) -> Self {
        Self { uid, gid, mode: S_IFDIR | (permissions & !S_IFMT), xattrs }
    }

    /// The permission bits, without the file type.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode & !S_IFMT
    }

    /// The serialised object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let numbers = [self.uid, self.gid, self.mode].map(u32::to_be_bytes);
        build_tuple(&[
            (Member::U32, &numbers[0]),
            (Member::U32, &numbers[1]),
            (Member::U32, &numbers[2]),
            (Xattrs::MEMBER, &self.xattrs.encode()),
        ])
    }

    /// The name of the object.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        Checksum::of(&self.encode())
    }

    /// Reads an object. Its mode must be that of a directory.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        let meta = Self::decode_any(WHAT, data)?;
        if meta.mode & S_IFMT != S_IFDIR {
            let reason = format!("Invalid directory metadata mode {}; not a directory", meta.mode);
            return Err(Error::malformed(WHAT, reason));
        }
        Ok(meta)
    }

    /// Reads the value of `user.ostreemeta`, which may have the mode of any file.
    pub fn decode_ostreemeta(data: &[u8]) -> Result<Self, Error> {
        Self::decode_any("user.ostreemeta", data)
    }

    fn decode_any(what: &'static str, data: &[u8]) -> Result<Self, Error> {
        let members = [Member::U32, Member::U32, Member::U32, Xattrs::MEMBER];
        let [uid, gid, mode, xattrs] = split_tuple(what, data, members)?;
        let xattrs = Xattrs::decode(xattrs)?;
        let meta = Self { uid: u32_be(uid)?, gid: u32_be(gid)?, mode: u32_be(mode)?, xattrs };
        if meta.encode() == data { Ok(meta) } else { Err(Error::NotNormalForm { what }) }
    }
}
