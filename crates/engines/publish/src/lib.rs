//! Publishing metadata: keys, signatures, and the two repositories that devices believe.
//!
//! - [`KeyStore`] is a folder of private keys, one file a key, readable by its owner only;
//! - [`Draft`] is a role file on its way to enough signatures; as a *sign request* it travels to
//!   a machine that holds an offline key, and comes back with one more signature;
//! - [`ImageRepository`] is what the operator vouches for: all versions of its root, its targets
//!   and delegations, and the snapshot and timestamp that make them current;
//! - [`DirectorRepository`] says what each single vehicle shall install.
//!
//! Everything is a function of keys, times and input; nothing reads a clock. Files are written
//! so that a power cut leaves the old or the new repository, never a mixture.

mod delegation;
mod director;
mod draft;
mod error;
mod image;
mod image_folder;
mod keystore;
mod meaning;
mod request;
mod root;

pub use delegation::Delegation;
pub use director::{Assignment, DirectorRepository, VehicleFiles};
pub use draft::{Authority, Draft, Shortfall};
pub use error::Error;
pub use image::{Expiries, ImageRepository, SignedFile};
pub use keystore::{KeyStore, StoredKey};
pub use meaning::printable;
pub use request::{MAX_SIGN_REQUEST, Meaning, SIGN_REQUEST_FORMAT};
pub use root::{RootPlan, TopLevelKeys};
