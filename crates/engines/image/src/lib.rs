//! From an ordinary root file system to a disk that boots: [`convert()`] makes a tree that can be
//! committed and deployed of it, [`build()`] makes a disk image with a deployment of such a commit.
//!
//! An image is a GPT disk with the partitions of the [`Layout`]: for EFI, for `/boot`, for the
//! root, for data. Nothing is mounted: file systems are made by `mkfs.ext4 -d`, `mkfs.vfat` and
//! `mcopy` from a folder in which the sysroot was put together. The same commit, options and seed
//! give the same bytes.

mod boot_loader;
mod build;
mod convert;
mod error;
mod ext4;
mod fat;
mod grub_bios;
mod identity;
mod layout;
mod linked_copy;
mod overlay;
mod seal;
mod temporary;
mod tmpfiles;

pub use boot_loader::BootLoader;
pub use build::{Built, BuiltPartition, Request, build};
pub use convert::{Conversion, convert};
pub use error::{Error, Result};
pub use layout::{Layout, parse_size};
