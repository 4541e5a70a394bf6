//! Keys in tokens without the token's module in one's own process.
//!
//! A module of PKCS#11 is somebody else's library: it needs a dynamic loader, may crash, and sees
//! all that its process sees. So a program of its own loads it and [`serve`]s, and
//! [`KeyHelper`] asks that program over a socket:
//!
//! ```text
//! frame   = length (4 bytes, big-endian, at most 1 MiB), then that many bytes of JSON
//! request = {"describe": {"uri"}} | {"certificates": {"uri"}}
//!         | {"sign": {"uri", "scheme", "message": HEX}} | {"open": {"uri", "wrapped": HEX}}
//! answer  = {"key": {"key-type", "public": HEX, "spki": HEX}} | {"certificates": {"pem"}}
//!         | {"signature": {"bytes": HEX}} | {"opened": {"key": HEX | null}}
//!         | {"failed": {"operation", "problem", "kind"}}
//! ```
//! `open` opens the key of an encrypted image; `null`: it is not encrypted for this key.
//! Each request names its key by the whole URI of RFC 7512, PIN included, so a helper that died is
//! replaced by a new one in the middle of anything. A refused PIN is an answer, and is not tried
//! twice.

mod client;
mod protocol;
#[cfg(feature = "pkcs11")]
mod serve;

pub use client::{Channel, HelperKey, KeyHelper};
pub use protocol::{Answer, Request, Secret};
#[cfg(feature = "pkcs11")]
pub use serve::serve;
