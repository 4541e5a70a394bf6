//! The tree that an image is made of.

use std::collections::BTreeMap;

use crate::VerityDigest;

/// Owner, permissions and extended attributes. All times are 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permissions, within 07777; bits of a file type are passed over.
    pub permissions: u32,
    /// Name without NUL → value. Names of overlayfs's own (`trusted.overlay.`) are escaped in
    /// the image, and shown unescaped by a mounted overlay.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A directory and all below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Its own.
    pub attributes: Attributes,
    /// What is in it, by name. `.` and `..` are not.
    pub entries: BTreeMap<Vec<u8>, Node>,
}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File(File),
    /// A symbolic link.
    Symlink(Symlink),
}

/// A regular file. Its bytes are not in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Its own.
    pub attributes: Attributes,
    /// How many bytes it has. A file without any refers to nothing.
    pub size: u64,
    /// Where its bytes are, as a path from the root of the store without a leading slash.
    pub backing_path: Vec<u8>,
    /// What overlayfs demands of the file there; `None` demands nothing.
    pub digest: Option<VerityDigest>,
}

/// A symbolic link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symlink {
    /// Its own.
    pub attributes: Attributes,
    /// Where it points to.
    pub target: Vec<u8>,
}
