//! OTA packages for devices with one copy of their system, and what recovery does with them.
//!
//! * [`Package`]: a zip file that was verified as a whole, and what is in it.
//! * [`TrustedKeys`]: whose signature counts; [`sign`] makes one.

mod error;

mod keys;
mod package;
mod sign;

pub use error::{Error, Result};
pub use keys::TrustedKeys;
pub use package::{Package, Signed};
pub use sign::sign;
