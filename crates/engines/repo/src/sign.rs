//! Signatures of commits, summaries and deltas.
//!
//! ```text
//! objects/XX/REST.commitmeta  a{sv} beside a commit
//! summary.sig                 a{sv} beside the summary
//!   ostree.gpgsigs            aay: detached OpenPGP signatures
//!   ostree.sign.TYPE          aay: ed25519, spki, dummy
//! ```
//!
//! What is signed are the bytes of the commit object, or of the summary. [`Policy`] is what a
//! remote demands, with all keys loaded: a pull holds every commit against it before it fetches
//! what the commit names, and the summary before it reads a ref in it.

mod add;
mod check;
mod error;
mod gpg;
mod keys;
mod kind;
mod places;
mod policy;

pub use add::{Signer, delete_gpg, delete_signatures, sign_bytes, sign_commit, sign_summary};
pub use check::{Success, verify_signatures};
pub use error::Error;
pub use gpg::{
    GPG_SIGNATURES, date, describe, global_keyring, gpg_reports, keyring_path, keys_of_remote,
    remote_keyring, viewing_keyring,
};
pub use updraft_openpgp::Report;

pub use keys::{PublicKeys, SecretKey};
pub use kind::SignType;
pub use places::Places;
pub use policy::{Demands, Policy, Types};
