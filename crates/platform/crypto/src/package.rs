//! Keys of whole OTA packages: [`PackageKey`] verifies, [`PackageSigner`] signs.
//!
//! Which hash a key signs is not in the signature: the certificate decides by which the key is trusted,
//! by the algorithm of its own signature. So nobody can choose a weaker hash for a key. (AOSP,
//! `bootable/recovery/install/verifier.cpp`.)

mod signer;

use aws_lc_rs::digest::{Digest, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use updraft_tuf::pem_decode;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

pub use signer::PackageSigner;

use crate::Error;
use crate::cms::{INTEGER, SEQUENCE, value};
use crate::plain::SpkiKey;

/// What recovery takes of certificates.
const MODULUS_BITS: &[usize] = &[2048, 4096];
/// What it took of `/res/keys`, up to Android 9: dumpkey writes longer ones, too.
const OLD_MODULUS_BITS: &[usize] = &[2048, 4096, 8192];
const EXPONENTS: [u64; 2] = [3, 65537];
const P256_CURVE: &str = "1.2.840.10045.3.1.7";
const BIT_STRING: u8 = 3;
/// rsaEncryption with NULL, and id-ecPublicKey with prime256v1, as algorithm identifiers.
const RSA: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const P256: [u8; 21] = [
    0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
];

/// The hash that a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageHash {
    /// SHA-1, which is not safe any more.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// Hashes of what is signed of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageDigests {
    /// SHA-1, when somebody wants it.
    pub sha1: Option<[u8; 20]>,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// A key by which packages may be signed: RSA with 2048 or 4096 bits, or P-256;
/// an old one by its numbers also RSA with 8192.
#[derive(Debug, Clone)]
pub struct PackageKey {
    key: SpkiKey,
    hash: PackageHash,
}

impl PackageKey {
    /// The key of a certificate in PEM. Its dates and names say nothing here.
    ///
    /// # Errors
    /// [`Error::Malformed`]: recovery would not take it.
    pub fn from_certificate(pem: &str) -> Result<Self, Error> {
        let bad = |problem: &str| Error::malformed("certificate", problem);
        let der = pem_decode("CERTIFICATE", pem).map_err(|_| bad("it is no PEM of one"))?;
        let (rest, certificate) =
            x509_parser::parse_x509_certificate(&der).map_err(|_| bad("it is damaged"))?;
        if !rest.is_empty() {
            return Err(bad("something follows it"));
        }
        let hash = match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
            // MD5 and SHA-1 with RSA; SHA-256 with RSA; ECDSA with SHA-256. What is signed by a key
            // whose certificate MD5 signed was always SHA-1.
            "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" => PackageHash::Sha1,
            "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => PackageHash::Sha256,
            other => {
                let problem = format!("it is signed by algorithm {other}, which recovery has not");
                return Err(Error::malformed("certificate", problem));
            }
        };
        Self::new(certificate.public_key().raw, hash, MODULUS_BITS)
    }

    /// An RSA key by its numbers, the highest byte first.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn rsa(modulus: &[u8], exponent: u32, hash: PackageHash) -> Result<Self, Error> {
        let numbers = [unsigned(modulus), unsigned(&exponent.to_be_bytes())].concat();
        Self::new(&spki(&RSA, &value(SEQUENCE, &numbers)), hash, OLD_MODULUS_BITS)
    }

    /// A P-256 key by its point; it signs SHA-256.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn p256(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, Error> {
        Self::new(&spki(&P256, &[&[4][..], x, y].concat()), PackageHash::Sha256, &[])
    }

    fn new(spki: &[u8], hash: PackageHash, modulus_bits: &[usize]) -> Result<Self, Error> {
        let bad = |problem: &str| Error::malformed("key of a package", problem);
        let key = SpkiKey::from_der(spki)?;
        let (_, read) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| bad("it is damaged"))?;
        let curve = read.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        match read.parsed().map_err(|_| bad("its numbers are damaged"))? {
            PublicKey::RSA(rsa) => {
                let bits = bits(rsa.modulus);
                let exponent = rsa.try_exponent().map_err(|_| bad("its exponent is too large"))?;
                if !modulus_bits.contains(&bits) || !EXPONENTS.contains(&exponent) {
                    let problem = format!(
                        "it has {bits} bits and exponent {exponent}; possible are \
                         {modulus_bits:?} bits, and 3 or 65537"
                    );
                    return Err(bad(&problem));
                }
            }
            PublicKey::EC(_)
                if hash == PackageHash::Sha256
                    && curve.is_some_and(|curve| curve.to_id_string() == P256_CURVE) => {}
            _ => return Err(bad("it is neither RSA nor P-256 with SHA-256")),
        }
        Ok(Self { key, hash })
    }

    /// The hash that it signs.
    #[must_use]
    pub fn hash(&self) -> PackageHash {
        self.hash
    }

    /// Whether the signature is one of a package with these hashes.
    #[must_use]
    pub fn verify(&self, digests: &PackageDigests, signature: &[u8]) -> bool {
        match (self.hash, digests.sha1) {
            (PackageHash::Sha256, _) => self.key.verify_sha256(&digests.sha256, signature),
            (PackageHash::Sha1, None) => false,
            (PackageHash::Sha1, Some(sha1)) => {
                let algorithm = &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
                let key = UnparsedPublicKey::new(algorithm, self.key.raw());
                Digest::import_less_safe(&sha1, &SHA1_FOR_LEGACY_USE_ONLY)
                    .is_ok_and(|digest| key.verify_digest(&digest, signature).is_ok())
            }
        }
    }
}

/// How many bits a number has.
fn bits(number: &[u8]) -> usize {
    let digits = number.iter().skip_while(|byte| **byte == 0);
    let zeros = digits.clone().next().map_or(0, |first| first.leading_zeros());
    digits.count() * 8 - usize::try_from(zeros).unwrap_or(0)
}

/// A number that is not below zero.
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let zero: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    value(INTEGER, &[zero, digits].concat())
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = value(BIT_STRING, &[&[0], key].concat());
    value(SEQUENCE, &[algorithm, &bits].concat())
}
