//! Signatures of EFI programs, as firmware checks them (Secure Boot): a PKCS#7 `SignedData`
//! (RFC 2315) about the hash of a program.
//!
//! ```text
//! SpcIndirectDataContent ::= SEQUENCE {
//!     SEQUENCE { 1.3.6.1.4.1.311.2.1.15, SpcPeImageData },
//!     DigestInfo { SHA-256, hash of the program } }
//! SignerInfo ::= version 1, issuer and serial number, SHA-256,
//!     [0] { contentType, messageDigest }, RSA, PKCS#1 v1.5 signature of those attributes
//! ```
//! ("Windows Authenticode Portable Executable Signature Format".) There is no time in it: firmware
//! looks at none.

use aws_lc_rs::digest::{self, digest};
use updraft_tuf::pem_decode;

use crate::Error;
use crate::cms::{FIRST, INTEGER, SEQUENCE, SET, SIGNED_DATA, value};
use crate::plain::{SpkiKey, sign_der};

const NULL: [u8; 2] = [5, 0];
const OCTET_STRING: u8 = 0x04;
/// 1.3.6.1.4.1.311.2.1.4 and .15, whole.
const INDIRECT_DATA: [u8; 12] = [6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 4];
const PE_IMAGE_DATA: [u8; 12] = [6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 15];
/// 2.16.840.1.101.3.4.2.1
const SHA256: [u8; 11] = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// 1.2.840.113549.1.1.1
const RSA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 1.2.840.113549.1.9.3 and .4
const CONTENT_TYPE: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// What stands where a link to the program once was.
const OBSOLETE: &str = "<<<Obsolete>>>";
/// What a signature has beside the certificate and the number of the key.
const AROUND: usize = 1024;

/// A private key and its certificate that sign EFI programs.
pub struct ProgramSigner {
    key: Vec<u8>,
    certificate: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl std::fmt::Debug for ProgramSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgramSigner").finish_non_exhaustive()
    }
}

impl ProgramSigner {
    /// Reads an RSA key and its certificate, both PEM, and sees to it that they belong together.
    ///
    /// # Errors
    /// [`Error::Malformed`]; the key is never part of the message.
    pub fn from_pem(key: &str, certificate: &str) -> Result<Self, Error> {
        let bad_key = |problem: &str| Error::malformed("private key", problem);
        let key = pem_decode("PRIVATE KEY", key)
            .or_else(|_| pem_decode("RSA PRIVATE KEY", key))
            .map_err(|_| bad_key("it is no PEM of PKCS#8 or PKCS#1 without a passphrase"))?;
        let bad = |problem: String| Error::malformed("certificate", problem);
        let certificate =
            pem_decode("CERTIFICATE", certificate).map_err(|error| bad(error.to_string()))?;
        let (rest, read) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|error| bad(error.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("something follows it".to_owned()));
        }
        let spki = read.public_key();
        if spki.algorithm.algorithm.to_id_string() != "1.2.840.113549.1.1.1" {
            return Err(bad("firmware checks signatures by RSA keys only".to_owned()));
        }
        let public = SpkiKey::from_der(spki.raw)?;
        if !public.verify(b"", &sign_der(&key, b"")?) {
            return Err(bad_key("it is not that of the certificate"));
        }
        let issuer = read.tbs_certificate.issuer.as_raw().to_vec();
        let serial = value(INTEGER, read.tbs_certificate.raw_serial());
        Ok(Self { key, certificate, issuer, serial })
    }

    /// The certificate, in DER: a program that it has signed contains it.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// No signature is longer, in bytes.
    #[must_use]
    pub fn longest(&self) -> usize {
        // The signature is shorter than its key.
        AROUND + self.certificate.len() + self.issuer.len() + self.key.len()
    }

    /// The signature of a program with this hash, in DER.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn sign(&self, hash: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let sha256 = value(SEQUENCE, &[&SHA256[..], &NULL].concat());
        let content = [about_programs(), digest_info(&sha256, hash)].concat();
        let attribute = |kind: &[u8], of: &[u8]| value(SEQUENCE, &[kind, &value(SET, of)].concat());
        let hashed = digest(&digest::SHA256, &content);
        // Sorted, as DER has sets.
        let attributes = [
            attribute(&CONTENT_TYPE, &INDIRECT_DATA),
            attribute(&MESSAGE_DIGEST, &value(OCTET_STRING, hashed.as_ref())),
        ]
        .concat();
        // What is signed are the attributes as a set.
        let signature = sign_der(&self.key, &value(SET, &attributes))?;
        let signer = [
            value(INTEGER, &[1]),
            value(SEQUENCE, &[&self.issuer[..], &self.serial].concat()),
            sha256.clone(),
            value(FIRST, &attributes),
            value(SEQUENCE, &[&RSA[..], &NULL].concat()),
            value(OCTET_STRING, &signature),
        ];
        let content = value(FIRST, &value(SEQUENCE, &content));
        let signed = [
            value(INTEGER, &[1]),
            value(SET, &sha256),
            value(SEQUENCE, &[&INDIRECT_DATA[..], &content].concat()),
            value(FIRST, &self.certificate),
            value(SET, &value(SEQUENCE, &signer.concat())),
        ];
        let signed = value(FIRST, &value(SEQUENCE, &signed.concat()));
        Ok(value(SEQUENCE, &[&SIGNED_DATA[..], &signed].concat()))
    }
}

/// Says that the hash is that of a program, with no flags and no link to it.
fn about_programs() -> Vec<u8> {
    const BIT_STRING: [u8; 3] = [3, 1, 0];
    let link: Vec<u8> = OBSOLETE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    // [0] EXPLICIT SpcLink, of it [2] EXPLICIT SpcString, of it [0] IMPLICIT BMPString.
    let link = value(FIRST, &value(0xa2, &value(0x80, &link)));
    let data = value(SEQUENCE, &[&BIT_STRING[..], &link].concat());
    value(SEQUENCE, &[&PE_IMAGE_DATA[..], &data].concat())
}

fn digest_info(algorithm: &[u8], hash: &[u8; 32]) -> Vec<u8> {
    value(SEQUENCE, &[algorithm, &value(OCTET_STRING, hash)].concat())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::ProgramSigner;
    use crate::{KeyAlgorithm, SigningKey};

    /// A key of OpenSSL with its certificate.
    fn made(folder: &std::path::Path, name: &str, kind: &[&str]) -> (String, String) {
        let (key, certificate) = (folder.join(name), folder.join(format!("{name}.crt")));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-subj", "/CN=maker", "-days", "30"]).args(kind);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        #[allow(clippy::disallowed_methods, reason = "a test reads files without ceremony")]
        let read = |path| std::fs::read_to_string(path).unwrap();
        (read(key), read(certificate))
    }

    #[test]
    fn openssl_reads_what_is_signed() {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = made(folder.path(), "one", &["-newkey", "rsa:2048"]);
        let signer = ProgramSigner::from_pem(&key, &certificate).unwrap();
        let signature = signer.sign(&[7; 32]).unwrap();
        assert!(signature.len() <= signer.longest(), "{}", signature.len());
        let holds = |part: &[u8]| signature.windows(part.len()).any(|window| window == part);
        assert!(holds(signer.certificate()) && holds(&[7; 32]));
        let path = folder.path().join("signature");
        #[allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]
        std::fs::write(&path, &signature).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs7", "-inform", "DER", "-print", "-noout", "-in"]).arg(&path);
        let output = openssl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for words in ["1.3.6.1.4.1.311.2.1.4", "messageDigest", "CN=maker", "rsaEncryption"] {
            assert!(text.contains(words), "no {words} in {text}");
        }
    }

    #[test]
    fn keys_that_firmware_would_not_take_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = made(folder.path(), "one", &["-newkey", "rsa:2048"]);
        let (_, other) = made(folder.path(), "two", &["-newkey", "rsa:2048"]);
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let (ec, ec_certificate) = made(folder.path(), "three", &curve);
        let ed25519 = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let ed25519 = ed25519.to_pkcs8_pem().unwrap();
        for (key, certificate, words) in [
            (&key, &other, "not that of the certificate"),
            (&ec, &ec_certificate, "RSA keys only"),
            (&ed25519, &certificate, "not that of the certificate"),
            (&certificate, &certificate, "no PEM"),
            (&key, &key, "certificate"),
        ] {
            let error = ProgramSigner::from_pem(key, certificate).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains(key.lines().nth(1).unwrap_or("x")), "{error}");
        }
    }
}
