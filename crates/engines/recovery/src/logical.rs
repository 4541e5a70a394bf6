//! Logical partitions: pieces of the partition `super`, put together without device mapper. They are
//! read and written where their pieces lie.
//!
//! What holds it together across power cuts:
//!
//! * The table is there twice. Both are made the same first; then one is replaced and made durable, and
//!   then the other. One of them is whole at any moment.
//! * All changes of a package are one new table. Any that cannot be made leaves the old one.
//! * Before the new table is written, [`Steps`] keep what it is made of and what it will be: a script
//!   that runs again from its beginning finds that its changes are made, and makes none of them twice.
//!
//! (AOSP, `system/core/fs_mgr/liblp`, `bootable/recovery/updater/dynamic_partitions.cpp`.)

mod change;
mod pieces;
mod space;
mod steps;
mod super_partition;

pub(crate) use pieces::open;
pub(crate) use steps::{MAX_STEPS, Step, Steps};
pub use super_partition::SuperPartition;

/// Below which the paths of logical partitions are, whether something is there or not.
pub(crate) const MAPPED: &str = "/dev/block/mapper/";
