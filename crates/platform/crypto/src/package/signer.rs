//! [`PackageSigner`]: signs whole OTA packages.

use updraft_tuf::pem_decode;

use super::{PackageHash, PackageKey};
use crate::Error;
use crate::cms::{FIRST, INTEGER, SEQUENCE, SET, SIGNED_DATA, value};
use crate::plain::{PrehashSigner, SpkiKey};

const OCTET_STRING: u8 = 4;
const NULL: [u8; 2] = [5, 0];
/// 1.2.840.113549.1.7.1, 2.16.840.1.101.3.4.2.1, 1.2.840.113549.1.1.1 and 1.2.840.10045.4.3.2
const DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SHA256: [u8; 11] = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const RSA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const ECDSA_SHA256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// No signature by P-256 is longer.
const LONGEST_EC: usize = 72;

/// A private key and its certificate.
pub struct PackageSigner {
    key: PrehashSigner,
    certificate: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl std::fmt::Debug for PackageSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackageSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

impl PackageSigner {
    /// Reads a private key (PEM, or PKCS#8 in DER as `.pk8` files have it) and its certificate (PEM),
    /// and sees to it that devices that trust the certificate will take what is signed.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the key is never part of the message.
    pub fn new(key: &[u8], certificate_pem: &str) -> Result<Self, Error> {
        let key = match std::str::from_utf8(key) {
            Ok(text) if text.contains("-----BEGIN") => PrehashSigner::from_pem(text)?,
            _ => PrehashSigner::from_der(key)?,
        };
        Self::with(key, certificate_pem)
    }

    /// A private key and its certificate (PEM), with the same care.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn with(key: PrehashSigner, certificate_pem: &str) -> Result<Self, Error> {
        let public = PackageKey::from_certificate(certificate_pem)?;
        let bad = |problem: &str| Error::malformed("certificate", problem);
        if public.hash() != PackageHash::Sha256 {
            let problem = "it is signed with SHA-1, and devices would take signatures of SHA-1 only: \
                           make one for the same key that is signed with SHA-256";
            return Err(bad(problem));
        }
        if SpkiKey::from_pem(certificate_pem)?.raw() != key.public().raw() {
            return Err(Error::malformed("private key", "it is not that of the certificate"));
        }
        let der = pem_decode("CERTIFICATE", certificate_pem);
        let certificate = der.map_err(|error| Error::malformed("certificate", error))?;
        let (_, read) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| bad("it is damaged"))?;
        let issuer = read.tbs_certificate.issuer.as_raw().to_vec();
        let serial = value(INTEGER, read.tbs_certificate.raw_serial());
        Ok(Self { key, certificate, issuer, serial })
    }

    /// The PKCS#7 `SignedData` of a package with this SHA-256: without signed attributes, as recovery
    /// wants it, and with the certificate.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn sign(&self, sha256: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let signature = self.key.sign_sha256(sha256)?;
        let digest = value(SEQUENCE, &[&SHA256[..], &NULL].concat());
        let is_ec = self.key.longest() <= LONGEST_EC;
        let by = if is_ec { ECDSA_SHA256.to_vec() } else { [&RSA[..], &NULL].concat() };
        let signer = [
            value(INTEGER, &[1]),
            value(SEQUENCE, &[&self.issuer[..], &self.serial].concat()),
            digest.clone(),
            value(SEQUENCE, &by),
            value(OCTET_STRING, &signature),
        ];
        let signed = [
            value(INTEGER, &[1]),
            value(SET, &digest),
            value(SEQUENCE, &DATA),
            value(FIRST, &self.certificate),
            value(SET, &value(SEQUENCE, &signer.concat())),
        ];
        let signed = value(FIRST, &value(SEQUENCE, &signed.concat()));
        Ok(value(SEQUENCE, &[&SIGNED_DATA[..], &signed].concat()))
    }
}
