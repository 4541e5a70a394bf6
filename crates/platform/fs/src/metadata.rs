//! What a file is: the part of `stat` that Updraft looks at.

use rustix::fs::{FileType, Stat};

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::Regular,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Other,
        }
    }
}

/// What `stat` says about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The type.
    pub kind: FileKind,
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes of content; of the target for a symbolic link.
    pub size: u64,
    /// Names that this file has.
    pub links: u64,
    /// The device the file lives on.
    pub device: u64,
    /// The file's number on that device.
    pub inode: u64,
    /// Modification time: whole seconds since 1970.
    pub mtime: i64,
    /// Modification time: nanoseconds of the second.
    pub mtime_nanos: u32,
    /// Device number, for device nodes.
    pub special_device: u64,
}

impl Metadata {
    /// Permission bits with set-uid, set-gid and sticky: `mode & 07777`.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

impl From<&Stat> for Metadata {
    // The widths of these fields differ between architectures.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        clippy::useless_conversion
    )]
    fn from(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            mode: stat.st_mode as u32,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            links: stat.st_nlink as u64,
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mtime: stat.st_mtime as i64,
            mtime_nanos: stat.st_mtime_nsec as u32,
            special_device: stat.st_rdev as u64,
        }
    }
}
