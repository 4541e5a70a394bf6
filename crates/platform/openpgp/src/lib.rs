//! OpenPGP for signed repositories: detached signatures over bytes, and the keys to check them.
//!
//! * A [`Keyring`] is read from binary or armored keys, or from GnuPG's keybox (`pubring.kbx`).
//! * [`verify`] says of each signature who made it and what is to be thought of it. Only
//!   [`Standing::Good`] is to be trusted: the bytes are those that were signed, and neither key
//!   nor signature is revoked or expired *now* (as GnuPG judges).
//! * [`sign`] makes a signature with a key of a GnuPG home.
//!
//! Verification is pure Rust (rPGP) and starts no program. Signing runs `gpg`: since GnuPG 2.1
//! secret keys belong to its agent, which alone can ask for their passphrases or reach a card.
//!
//! Stricter than GnuPG in what no honest signer does: signatures over *text*, whose line ends may
//! change unnoticed, are bad, and so are those made with MD5, SHA-1 or RIPEMD-160. Designated
//! revokers are not supported.

mod error;

mod keybox;
mod keyring;

mod certificate;
mod listing;
mod user;

mod verify;

pub mod sign;

pub use error::Error;
pub use keyring::{Keyring, MAX_KEYRING};
pub use listing::{KeyListing, SubkeyListing, UserListing};
pub use user::{UpdateUrls, UserName};
pub use verify::{MAX_SIGNATURE, Report, Standing, verify};
