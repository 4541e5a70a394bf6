//! Publishing metadata: keys, signatures, and the two repositories that devices believe.
//!
//! - [`KeyStore`] is a folder of private keys, one file a key, readable by its owner only;
//! - [`Draft`] is a role file on its way to enough signatures; as a *sign request* it travels to
//!   a machine that holds an offline key, and comes back with one more signature;
//! - [`ImageRepository`] is what the operator vouches for: all versions of its root, its targets
//!   and delegations, and the snapshot and timestamp that make them current;
//! - [`ImageRepository::tuf_form`] is the same for clients of TUF 1.0, in step with it;
//! - [`DirectorRepository`] says what each single vehicle shall install;
//! - [`encrypt_image`] makes a ciphertext that one ECU can open;
//! - [`offline_updates`] and [`offline_snapshot`] are what vehicles take from a medium.
//!
//! Everything is a function of keys, times and input; nothing reads a clock. Files are written
//! so that a power cut leaves the old or the new repository, never a mixture.

mod delegation;
mod director;
mod draft;
mod encrypt;
mod error;
mod image;
mod image_files;
mod image_folder;
mod key_json;
mod keystore;
mod meaning;
mod offline;
mod private_key;
mod refresh;
mod request;
mod root;
mod tuf_form;

pub use delegation::Delegation;
pub use director::{Assignment, DirectorRepository, VehicleFiles};
pub use draft::{Authority, Draft, Shortfall};
pub use encrypt::encrypt_image;
pub use error::Error;
pub use image::{Expiries, ImageRepository, SignedFile};
pub use key_json::{
    algorithm_like, algorithm_of_key_type, key_pair_json, private_key_from_json, private_key_json,
    public_key_json,
};
pub use keystore::{KeyStore, StoredKey};
pub use meaning::printable;
pub use offline::{
    OFFLINE_SNAPSHOT, OFFLINE_UPDATES, OfflineMeta, edited_root, enter_role, offline_snapshot,
    offline_updates, read_root,
};
pub use private_key::{PrivateKey, TokenKey, key_helper};
pub use request::{MAX_SIGN_REQUEST, Meaning, SIGN_REQUEST_FORMAT};
pub use root::{RootPlan, TopLevelKeys};
pub use tuf_form::{TufFiles, tuf_payload};
