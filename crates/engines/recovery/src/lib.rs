//! OTA packages for devices with one copy of their system, and what recovery does with them.
//!
//! * [`Package`]: a zip file, and what is in it; [`VerifiedPackage`]: one that somebody signed who is
//!   trusted, and no other is installed.
//! * [`TrustedKeys`]: whose signature counts; [`sign`] makes one.
//! * [`make_payload_package`]: a package of a payload, for devices with two slots;
//!   [`make_bundle`]: one of images, for devices with a single system.
//! * [`BlockUpdate`]: makes a partition anew in its own place, through any power cut.
//! * [`patch_partition`], [`flash_partition`]: make one of another by a patch, and only when needed.
//! * [`SuperPartition`]: the table of logical partitions, and what a package makes of it.
//! * [`Updater`]: runs the script of a package on a [`System`].
//! * [`Recovery`]: one start of recovery, from its arguments to the next start.
//! * [`ControlBlock`]: whether recovery starts.

mod error;

mod keys;
mod package;
mod sign;

mod make;

mod block;
mod device;
mod imgdiff;
mod patch;
mod zlib;

mod bundle;
mod control;
mod logical;
mod partition;
mod system;
mod updater;

mod recovery;

pub use block::{Attempt, BlockUpdate};
pub use control::ControlBlock;
pub use device::{BlockDevice, FileDevice};
pub use error::{Error, Result};
pub use keys::TrustedKeys;
pub use logical::SuperPartition;
pub use make::{BundleImage, PackageOptions, make_bundle, make_payload_package};
pub use package::{Package, Signed, VerifiedPackage};
pub use partition::{PartitionSpec, can_patch, flash_partition, partition_is, patch_partition};
pub use patch::apply as apply_patch;
pub use recovery::{Gate, Next, Options, Outcome, Recovery, Settings, request};
pub use sign::{hash_to_sign, sign};
pub use system::System;
pub use updater::{Ended, Updater};
