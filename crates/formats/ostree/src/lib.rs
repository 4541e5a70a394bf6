//! The formats of OSTree repositories: bytes in, types out.
//!
//! Everything libostree writes into a repository is either a GVariant ([`Commit`], [`DirTree`],
//! [`DirMeta`], [`Summary`], [`Metadata`]), a file stream with a GVariant header
//! ([`FileHeader`]), a [static delta](delta) made of such values, a GLib key file ([`KeyFile`]) or
//! a text of one checksum (refs). This crate
//! turns each of them into a type and back, byte for byte as libostree does, because the bytes
//! are hashed into names. It reads no file and knows no clock.
//!
//! Reading is strict: sizes and depths are bounded, and whatever is not the one canonical
//! serialisation of its value is refused, since two spellings of one object would have two names.

mod error;

mod advert;
mod checksum;
mod collection;
mod mode;
mod object;

pub mod gvariant;
mod hash_order;
mod metadata;
mod varuint;

mod commit;
mod dirmeta;
mod dirtree;
mod header;
mod name;
mod sizes;
mod summary;
mod xattrs;

pub mod delta;

mod keyfile;
mod refs;

pub use advert::{Advert, RefFilter};
pub use checksum::Checksum;
pub use collection::{CollectionId, CollectionRef};
pub use commit::{Commit, content_checksum};
pub use dirmeta::DirMeta;
pub use dirtree::{DirEntry, DirTree};
pub use error::Error;
pub use header::{FRAME_LEN, FileHeader, MAX_HEADER_SIZE, frame_length};
pub use keyfile::KeyFile;
pub use metadata::Metadata;
pub use mode::RepoMode;
pub use name::FileName;
pub use object::{ObjectName, ObjectType};
pub use refs::{RefName, Refspec, RemoteName};
pub use sizes::ObjectSize;
pub use summary::{Summary, SummaryRef};
pub use varuint::{read_varuint, write_varuint};
pub use xattrs::Xattrs;

/// The largest metadata object that is read or written: 128 MiB, as in libostree
/// (`OSTREE_MAX_METADATA_SIZE`).
pub const MAX_METADATA_SIZE: usize = 128 * 1024 * 1024;

/// `S_IFMT`: the bits of a mode that hold the file type.
pub const S_IFMT: u32 = 0o170_000;
/// `S_IFREG`: a regular file.
pub const S_IFREG: u32 = 0o100_000;
/// `S_IFDIR`: a directory.
pub const S_IFDIR: u32 = 0o040_000;
/// `S_IFLNK`: a symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
