//! The ways to damage a file, and back.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    FlippedFirst,
    Flipped,
    FlippedLast,
    Truncated,
    Empty,
    Longer,
    Missing,
    /// Another good file of the same kind has its name.
    Other,
    /// A good file of another kind has its name.
    WrongType,
    /// Cannot be read, not even by root.
    Directory,
    /// Whoever opens it waits for a writer who never comes.
    Fifo,
    /// A symbolic link to the very bytes that should be there.
    Link,
    /// The bytes are right, owner, mode or `user.ostreemeta` are not.
    Attributes,
}

impl Damage {
    pub(crate) const ALL: [Self; 13] = [
        Self::FlippedFirst,
        Self::Flipped,
        Self::FlippedLast,
        Self::Truncated,
        Self::Empty,
        Self::Longer,
        Self::Missing,
        Self::Other,
        Self::WrongType,
        Self::Directory,
        Self::Fifo,
        Self::Link,
        Self::Attributes,
    ];
}

/// A damaged file, which can be made whole again.
pub(crate) struct Damaged {
    path: PathBuf,
    aside: PathBuf,
}

impl Damaged {
    /// Damages `path`; `other` and `wrong` are good files of the same and of another kind, and
    /// `aside` is a free path outside.
    pub(crate) fn new(damage: Damage, path: &Path, files: (&Path, &Path), aside: PathBuf) -> Self {
        fs::rename(path, &aside).unwrap();
        let (other, wrong) = files;
        if aside.is_symlink() {
            damage_link(damage, path, &aside, (other, wrong));
            return Self { path: path.to_owned(), aside };
        }
        let mut content = fs::read(&aside).unwrap();
        match damage {
            Damage::Missing => {}
            Damage::Directory => fs::create_dir(path).unwrap(),
            Damage::Fifo => fifo(path),
            Damage::Link => symlink(&aside, path).unwrap(),
            Damage::Other => write_like(path, &fs::read(other).unwrap(), other),
            Damage::WrongType => write_like(path, &fs::read(wrong).unwrap(), &aside),
            Damage::Attributes => {
                write_like(path, &content, &aside);
                if get_meta(path).is_some() {
                    rustix::fs::lremovexattr(path, META).unwrap();
                }
                fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
            }
            _ => {
                let (length, last) = (content.len(), content.len().saturating_sub(1));
                match damage {
                    Damage::FlippedFirst => content[0] ^= 1,
                    Damage::Flipped => content[length / 2] ^= 0x10,
                    Damage::FlippedLast => content[last] ^= 1,
                    Damage::Truncated => content.truncate(length / 2),
                    Damage::Empty => content.clear(),
                    _ => content.extend_from_slice(b"more"),
                }
                write_like(path, &content, &aside);
            }
        }
        Self { path: path.to_owned(), aside }
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        if self.path.is_dir() && !self.path.is_symlink() {
            drop(fs::remove_dir_all(&self.path));
        } else {
            drop(fs::remove_file(&self.path));
        }
        fs::rename(&self.aside, &self.path).unwrap();
    }
}

/// A symbolic link has no bytes to damage, but a target.
fn damage_link(damage: Damage, path: &Path, aside: &Path, (other, wrong): (&Path, &Path)) {
    let target = fs::read_link(aside).unwrap().into_os_string().into_string().unwrap();
    match damage {
        Damage::Missing => {}
        Damage::Directory => fs::create_dir(path).unwrap(),
        Damage::Fifo => fifo(path),
        Damage::Empty => fs::write(path, "").unwrap(),
        Damage::WrongType => write_like(path, &fs::read(wrong).unwrap(), wrong),
        Damage::Other => symlink(fs::read_link(other).unwrap(), path).unwrap(),
        Damage::Truncated => symlink(&target[..target.len() / 2], path).unwrap(),
        Damage::FlippedFirst => symlink(format!("x{}", &target[1..]), path).unwrap(),
        Damage::FlippedLast => {
            symlink(format!("{}x", &target[..target.len() - 1]), path).unwrap();
        }
        Damage::Flipped => symlink(OsStr::from_bytes(b"no\xfftext"), path).unwrap(),
        Damage::Longer | Damage::Link | Damage::Attributes => {
            symlink(format!("{target}x"), path).unwrap();
        }
    }
}

const META: &str = "user.ostreemeta";

fn get_meta(path: &Path) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(path, META, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Writes a file that has all but the bytes of another.
fn write_like(path: &Path, content: &[u8], like: &Path) {
    fs::write(path, content).unwrap();
    let metadata = fs::symlink_metadata(like).unwrap();
    lchown(path, Some(metadata.uid()), Some(metadata.gid())).unwrap();
    fs::set_permissions(path, metadata.permissions()).unwrap();
    if let Some(value) = get_meta(like) {
        rustix::fs::lsetxattr(path, META, &value, XattrFlags::empty()).unwrap();
    }
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}
