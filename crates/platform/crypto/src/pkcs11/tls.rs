//! Keys in tokens for TLS.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::TokenKey;
use crate::Error;
use crate::remote::{self, RemoteKey, Scheme};

impl RemoteKey for TokenKey {
    fn scheme(&self) -> Scheme {
        Self::scheme(self)
    }

    fn sign_with(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        Self::sign_with(self, scheme, message)
    }
}

impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        remote::choose_scheme(self, offered)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki_der().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        remote::tls_algorithm(Self::scheme(self))
    }
}
