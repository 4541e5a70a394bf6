//! PKCS#12: a device's key, certificate and authority in one file.
//!
//! The aktualizr world provisions with such files and an empty password. We write PBES2 with
//! AES-256 and HMAC-SHA-256, and read the older password-based schemes too.

use p12_keystore::{
    Certificate, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyChain,
};
use updraft_tuf::{pem_decode, pem_encode};

use crate::tls::Identity;
use crate::{Error, random_bytes};

const WHAT: &str = "PKCS#12 file";
/// Rounds of key derivation. With the usual empty password more would protect nothing.
const ITERATIONS: u32 = 2048;
/// Largest file that is read, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// What a PKCS#12 file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The certificate with its key.
    pub identity: Identity,
    /// All other certificates, as PEM blocks one after the other; the authority's, usually.
    pub ca_pem: Option<String>,
}

/// Writes an identity and its authority's certificate, encrypted with `password`.
///
/// # Errors
/// [`Error::Malformed`] when a PEM text cannot be read.
pub fn encode(identity: &Identity, ca_pem: &str, password: &str) -> Result<Vec<u8>, Error> {
    let key = pem_decode("PRIVATE KEY", &identity.private_key_pem)
        .map_err(|error| Error::malformed("private key", error))?;
    let key = PrivateKey::from_der(&key).map_err(|error| Error::malformed("private key", error))?;
    let chain = [identity.certificate_pem.as_str(), ca_pem]
        .into_iter()
        .map(|pem| {
            let der = pem_decode("CERTIFICATE", pem)
                .map_err(|error| Error::malformed("certificate", error))?;
            Certificate::from_der(&der).map_err(|error| Error::malformed("certificate", error))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut store = KeyStore::new();
    let local_key_id = random_bytes::<16>()?.to_vec();
    let entry = PrivateKeyChain::new(local_key_id, key, chain);
    store.add_entry("device", KeyStoreEntry::PrivateKeyChain(entry));
    store
        .writer(password)
        .encryption_iterations(ITERATIONS)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(|_| Error::Provider { what: "write a PKCS#12 file" })
}

/// Reads the first key of a file, the certificate that belongs to it, and all others.
///
/// # Errors
/// [`Error::Malformed`]: not PKCS#12, a wrong password, or no key with a certificate.
pub fn decode(bytes: &[u8], password: &str) -> Result<Contents, Error> {
    if bytes.len() > MAX_LENGTH {
        return Err(Error::malformed(WHAT, "it is over 1 MiB"));
    }
    let archive = Pkcs12Archive::from_pkcs12(bytes, password)
        .map_err(|error| Error::malformed(WHAT, error))?;
    let key = archive.keys.first().ok_or_else(|| Error::malformed(WHAT, "it has no key"))?;
    let key_id = key.local_key_id.as_ref().map(AsRef::as_ref);
    let own = archive
        .certs
        .iter()
        .position(|cert| key_id.is_some() && cert.local_key_id.as_deref() == key_id)
        .unwrap_or(0);
    let leaf =
        archive.certs.get(own).ok_or_else(|| Error::malformed(WHAT, "it has no certificate"))?;
    let others = archive.certs.iter().enumerate().filter(|(index, _)| *index != own);
    let ca_pem: String =
        others.map(|(_, cert)| pem_encode("CERTIFICATE", cert.cert.as_der())).collect();
    Ok(Contents {
        identity: Identity {
            certificate_pem: pem_encode("CERTIFICATE", leaf.cert.as_der()),
            private_key_pem: pem_encode("PRIVATE KEY", key.key.as_der()),
        },
        ca_pem: (!ca_pem.is_empty()).then_some(ca_pem),
    })
}
