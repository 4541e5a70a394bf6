//! The file system as Updraft uses it: through directory handles, crash-safe, with typed errors.
//!
//! * [`Dir`]: a directory that stays the same one however its path is renamed; all other
//!   operations start from it.
//! * [`TempFile`] and [`atomic_write`]: new content appears under its name whole and durable, or
//!   not at all.
//! * [`xattr`], [`copy`], [`space`], [`remove_tree`]: what tree builders need.
//! * [`fat`]: names on a file system without journal.
//! * [`loops`]: a file as a block device.
//! * [`device_mapper`]: a block device that the kernel makes of others.
//! * [`verity`]: content that the kernel vouches for.
//! * [`PageBuffer`]: what files are read into.
//! * [`LockFile`]: whole-file OFD locks, as libostree takes on a repository's `.lock`.
//! * [`flock`]: locks that `flock(1)` sees.
//! * [`flush`]: make a file system readable for boot loaders that do not replay journals.
//! * [`kexec`]: the next kernel without the firmware.
//! * [`mount`]: mount namespaces and overlays.
//! * [`fault`]: makes the Nth write of a test fail.
//!
//! Durability: nothing here is durable until [`Dir::sync`] or [`syncfs`](Dir::syncfs) returned,
//! except what says otherwise in its documentation.

mod error;

mod dir;
mod entries;
mod metadata;

mod atomic;
mod temp_file;

pub mod copy;
pub mod device_mapper;
pub mod fat;
pub mod fault;
pub mod flock;
pub mod flush;
pub mod kexec;
mod lock;
pub mod loops;
pub mod mount;
mod page_buffer;
mod remove;
pub mod space;
mod sys;
pub mod verity;
pub mod xattr;

pub use atomic::{
    atomic_symlink, atomic_write, atomic_write_path, atomic_write_unsynced, symlink_by_way_of,
};
pub use dir::{Dir, Immutable};
pub use entries::Entry;
pub use error::{Error, Result};
pub use lock::{LockFile, LockMode};
pub use metadata::{FileKind, Metadata};
pub use page_buffer::PageBuffer;
pub use remove::remove_tree;
pub use temp_file::TempFile;
