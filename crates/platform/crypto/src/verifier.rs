//! Signature verification.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use updraft_tuf::{KeyType, PublicKey, VerifySignature};

/// Verifies Ed25519, ECDSA P-256 and RSA-PSS signatures. RSA keys have 2048 to 8192 bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verifier;

impl VerifySignature for Verifier {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match key.key_type() {
            KeyType::Ed25519 => &ED25519,
            KeyType::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            KeyType::Rsa => &RSA_PSS_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, key.as_bytes()).verify(message, signature).is_ok()
    }
}
