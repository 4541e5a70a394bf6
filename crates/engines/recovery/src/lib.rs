//! OTA packages for devices with one copy of their system, and what recovery does with them.
//!
//! * [`Package`]: a zip file that was verified as a whole, and what is in it.
//! * [`TrustedKeys`]: whose signature counts; [`sign`] makes one.
//! * [`make_payload_package`]: a package of a payload, for devices with two slots.
//! * [`BlockUpdate`]: makes a partition anew in its own place, through any power cut.

mod error;

mod keys;
mod package;
mod sign;

mod make;

mod block;
mod device;
mod imgdiff;

pub use block::{Attempt, BlockUpdate};
pub use device::{BlockDevice, FileDevice};
pub use error::{Error, Result};
pub use keys::TrustedKeys;
pub use make::{PackageOptions, make_payload_package};
pub use package::{Package, Signed};
pub use sign::sign;
