//! Headers of file objects: owner, mode, symbolic link target and xattrs.
//!
//! Two framings of nearly the same header exist:
//!
//! ```text
//! content stream (what is hashed)   .filez (what archive repositories store)
//!   u32 BE  length of header          u32 BE  length of header
//!   4 × 0                             4 × 0
//!   (uuuusa(ayay))                    (tuuuusa(ayay))   size first
//!   the file's bytes                  the file's bytes, raw deflate
//! ```
//!
//! Integers are big-endian; the fourth `u` (rdev) is always 0. The `s` is the target of a symbolic
//! link, or empty. Reference: libostree, `ostree-core-private.h`.

use crate::gvariant::{Member, build_tuple, decode_str, encode_str, split_tuple};
use crate::{Checksum, Error, S_IFLNK, S_IFMT, S_IFREG, Xattrs};

/// The bytes before the header: its length and four zeros.
pub const FRAME_LEN: usize = 8;

/// The longest header that is read. The xattrs of one file are far smaller on every file system.
pub const MAX_HEADER_SIZE: usize = 16 * 1024 * 1024;

const WHAT: &str = "file header";

/// Everything about a file or symbolic link except its name and bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileHeader {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Where a symbolic link points.
    pub symlink_target: Option<String>,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// The length of the header that follows a frame.
pub fn frame_length(frame: [u8; FRAME_LEN]) -> Result<usize, Error> {
    let [a, b, c, d, padding @ ..] = frame;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if padding != [0; 4] {
        return Err(Error::malformed(WHAT, "the padding is not zero"));
    }
    if length == 0 {
        return Err(Error::malformed(WHAT, "File header size is zero"));
    }
    if length > MAX_HEADER_SIZE {
        let (size, limit) = (length as u64, MAX_HEADER_SIZE as u64);
        return Err(Error::TooLarge { what: WHAT, size, limit });
    }
    Ok(length)
}

fn frame(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_LEN + header.len());
    // Headers come from one file's xattrs and target; 4 GiB of them cannot exist.
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(header);
    out
}

impl FileHeader {
    /// The header of a regular file.
    #[must_use]
    pub fn regular(uid: u32, gid: u32, permissions: u32, xattrs: Xattrs) -> Self {
        let mode = S_IFREG | (permissions & !S_IFMT);
        Self { uid, gid, mode, symlink_target: None, xattrs }
    }

    /// The header of a symbolic link.
    #[must_use]
    pub fn symlink(uid: u32, gid: u32, target: impl Into<String>, xattrs: Xattrs) -> Self {
        Self { uid, gid, mode: S_IFLNK | 0o777, symlink_target: Some(target.into()), xattrs }
    }

    /// The target of a symbolic link as the file system gives it. It must be UTF-8.
    pub fn target_from_bytes(target: &[u8]) -> Result<String, Error> {
        crate::name::utf8(target)
    }

    /// Whether this is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.mode & S_IFMT == S_IFLNK
    }

    /// The permission bits, without the file type.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode & !S_IFMT
    }

    /// The framed header of the content stream: hash it, then the file's bytes.
    #[must_use]
    pub fn encode_content(&self) -> Vec<u8> {
        frame(&self.encode_fields(None))
    }

    /// The framed header of a `.filez` whose file has `size` bytes.
    #[must_use]
    pub fn encode_archive(&self, size: u64) -> Vec<u8> {
        frame(&self.encode_fields(Some(size)))
    }

    /// The checksum of this header followed by `content`.
    #[must_use]
    pub fn checksum(&self, content: &[u8]) -> Checksum {
        let mut stream = self.encode_content();
        stream.extend_from_slice(content);
        Checksum::of(&stream)
    }

    /// Reads the header (without frame) of a content stream.
    pub fn decode_content(data: &[u8]) -> Result<Self, Error> {
        let members =
            [Member::U32, Member::U32, Member::U32, Member::U32, Member::BYTES, Xattrs::MEMBER];
        let header = Self::from_fields(split_tuple(WHAT, data, members)?)?;
        if header.encode_fields(None) != data {
            return Err(Error::NotNormalForm { what: WHAT });
        }
        Ok(header)
    }

    /// Reads the header (without frame) of a `.filez`, and the size of its file.
    pub fn decode_archive(data: &[u8]) -> Result<(Self, u64), Error> {
        let members = [
            Member::U64,
            Member::U32,
            Member::U32,
            Member::U32,
            Member::U32,
            Member::BYTES,
            Xattrs::MEMBER,
        ];
        let [size, rest @ ..] = split_tuple(WHAT, data, members)?;
        let size = u64_be(size)?;
        let header = Self::from_fields(rest)?;
        if header.encode_fields(Some(size)) != data {
            return Err(Error::NotNormalForm { what: WHAT });
        }
        if header.is_symlink() && size != 0 {
            return Err(Error::malformed(WHAT, "a symbolic link has a size"));
        }
        Ok((header, size))
    }

    fn encode_fields(&self, size: Option<u64>) -> Vec<u8> {
        let size = size.map(u64::to_be_bytes);
        let numbers = [self.uid, self.gid, self.mode, 0].map(u32::to_be_bytes);
        let target = encode_str(self.symlink_target.as_deref().unwrap_or_default());
        let xattrs = self.xattrs.encode();
        let mut members: Vec<(Member, &[u8])> = Vec::with_capacity(7);
        members.extend(size.as_ref().map(|size| (Member::U64, size.as_slice())));
        members.extend(numbers.iter().map(|number| (Member::U32, number.as_slice())));
        members.push((Member::BYTES, &target));
        members.push((Xattrs::MEMBER, &xattrs));
        build_tuple(&members)
    }

    fn from_fields([uid, gid, mode, rdev, target, xattrs]: [&[u8]; 6]) -> Result<Self, Error> {
        let mode = u32_be(mode)?;
        let target = decode_str(WHAT, target)?;
        if u32_be(rdev)? != 0 {
            return Err(Error::malformed(WHAT, "the device number is not zero"));
        }
        let symlink_target = match (mode & S_IFMT, target) {
            (S_IFREG, "") => None,
            (S_IFLNK, target) if !target.is_empty() => Some(target.to_owned()),
            (S_IFREG, _) => {
                return Err(Error::malformed(WHAT, "a regular file has a link target"));
            }
            (S_IFLNK, _) => {
                return Err(Error::malformed(WHAT, "a symbolic link has no target"));
            }
            _ => {
                let reason = format!("Invalid file metadata mode {mode}; not a valid file type");
                return Err(Error::malformed(WHAT, reason));
            }
        };
        let xattrs = Xattrs::decode(xattrs)?;
        Ok(Self { uid: u32_be(uid)?, gid: u32_be(gid)?, mode, symlink_target, xattrs })
    }
}

pub(crate) fn u32_be(data: &[u8]) -> Result<u32, Error> {
    let bytes = data.try_into().map_err(|_| Error::malformed(WHAT, "a number is cut short"))?;
    Ok(u32::from_be_bytes(bytes))
}

pub(crate) fn u64_be(data: &[u8]) -> Result<u64, Error> {
    let bytes = data.try_into().map_err(|_| Error::malformed(WHAT, "a number is cut short"))?;
    Ok(u64::from_be_bytes(bytes))
}
