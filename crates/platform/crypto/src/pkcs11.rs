//! Private keys that never leave a token: smart cards, TPMs and HSMs behind PKCS#11.
//!
//! [`TokenUri`] is the name of a key or certificate in a token, as RFC 7512 writes it.
//! [`TokenKey`] signs with such a key: metadata and manifests ([`updraft_tuf::Sign`]), any message
//! ([`TokenKey::sign_with`]), and handshakes of TLS ([`rustls::sign::SigningKey`]).
//! It opens the keys of encrypted images too ([`TokenKey::image_key`]).
//! [`certificates_pem`] reads what belongs to it.
//!
//! The module that talks to the token is a library of its maker, loaded into this process: who
//! writes the URI is trusted as far as who writes the program. A wrong PIN is never tried twice,
//! since a token locks itself after a few.

mod certificate;
mod encode;
mod key;
mod module;
mod open;
mod tls;
mod uri;

pub use crate::remote::Scheme;
pub use certificate::certificates_pem;
pub use key::TokenKey;
pub use uri::TokenUri;
