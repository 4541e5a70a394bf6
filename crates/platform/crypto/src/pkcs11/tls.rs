//! Keys in tokens for TLS.

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::{Scheme, TokenKey};

impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        // What is better comes first; TLS 1.3 knows only PSS.
        let known: &[(SignatureScheme, Scheme)] = match self.scheme() {
            Scheme::Ed25519 => &[(SignatureScheme::ED25519, Scheme::Ed25519)],
            Scheme::EcdsaP256 => &[(SignatureScheme::ECDSA_NISTP256_SHA256, Scheme::EcdsaP256)],
            Scheme::RsaPss | Scheme::RsaPkcs1 => &[
                (SignatureScheme::RSA_PSS_SHA256, Scheme::RsaPss),
                (SignatureScheme::RSA_PKCS1_SHA256, Scheme::RsaPkcs1),
            ],
        };
        let (tls, scheme) = known.iter().find(|(tls, _)| offered.contains(tls))?;
        Some(Box::new(Handshake { key: self.clone(), tls: *tls, scheme: *scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki_der().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.scheme() {
            Scheme::Ed25519 => SignatureAlgorithm::ED25519,
            Scheme::EcdsaP256 => SignatureAlgorithm::ECDSA,
            Scheme::RsaPss | Scheme::RsaPkcs1 => SignatureAlgorithm::RSA,
        }
    }
}

/// A key in one handshake.
#[derive(Debug)]
struct Handshake {
    key: TokenKey,
    tls: SignatureScheme,
    scheme: Scheme,
}

impl Signer for Handshake {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.key.sign_with(self.scheme, message);
        signed.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.tls
    }
}
