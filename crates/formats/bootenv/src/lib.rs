//! What boot loaders read: boot loader entries (BLS), kernel command lines, and the order in
//! which entries are offered.
//!
//! Everything here is text in, types out, and back. The writers produce exactly the bytes that
//! libostree produces for the same values, so that either implementation can take over a system
//! from the other.

mod entry;
mod error;
mod kargs;
mod order;

pub use entry::{BootEntry, MAX_ENTRY_BYTES};
pub use error::Error;
pub use kargs::KernelArgs;
pub use order::{EntryName, version_cmp};
