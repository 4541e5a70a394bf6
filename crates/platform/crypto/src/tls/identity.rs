//! Certificates with their keys, certificate requests, and reading certificates.

use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair};
use updraft_tuf::pem_decode;

use crate::{Error, HelperKey};

/// A certificate (chain) and its private key. `Debug` leaves the key out.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, followed by its issuers if there are any, as PEM.
    pub certificate_pem: String,
    /// The private key as PKCS#8 PEM. Store it with mode 0600.
    pub private_key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// A new P-256 key, and a certificate request (PKCS#10 PEM) for `common_name`.
///
/// Returns the request and the private key as PKCS#8 PEM, which never leaves the device.
///
/// # Errors
/// [`Error::Provider`] or [`Error::Refused`].
pub fn certificate_request(common_name: &str) -> Result<(String, String), Error> {
    let key = KeyPair::generate().map_err(|_| Error::Provider { what: "generate a key" })?;
    Ok((request(common_name, &key)?, key.serialize_pem()))
}

/// A certificate request (PKCS#10 PEM) for a key that is elsewhere.
///
/// # Errors
/// [`Error::Refused`], also when the key cannot sign now.
pub fn certificate_request_for(common_name: &str, key: &HelperKey) -> Result<String, Error> {
    request(common_name, key)
}

fn request(common_name: &str, key: &impl rcgen::SigningKey) -> Result<String, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let request = params.serialize_request(key).map_err(Error::refused)?;
    request.pem().map_err(Error::refused)
}

/// Whether a certificate (PEM) is for the key of a certificate request (PEM), whose signature is
/// checked.
///
/// # Errors
/// [`Error::Malformed`] for either of them.
pub fn is_for_request(certificate_pem: &str, request_pem: &str) -> Result<bool, Error> {
    use rcgen::PublicKeyData as _;
    let request = rcgen::CertificateSigningRequestParams::from_pem(request_pem)
        .map_err(|error| Error::malformed("certificate request", error))?;
    let what = "certificate";
    let der = pem_decode("CERTIFICATE", certificate_pem)
        .map_err(|error| Error::malformed(what, error))?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&der).map_err(|error| Error::malformed(what, error))?;
    Ok(*certificate.public_key().subject_public_key.data == *request.public_key.der_bytes())
}

/// `id-at-businessCategory` of X.520.
const BUSINESS_CATEGORY: &str = "2.5.4.15";

/// Whether a certificate (PEM) is for the key with this `SubjectPublicKeyInfo`.
///
/// # Errors
/// [`Error::Malformed`] for the certificate.
pub fn is_for_key(certificate_pem: &str, spki_der: &[u8]) -> Result<bool, Error> {
    let what = "certificate";
    let der = pem_decode("CERTIFICATE", certificate_pem)
        .map_err(|error| Error::malformed(what, error))?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&der).map_err(|error| Error::malformed(what, error))?;
    Ok(certificate.public_key().raw == spki_der)
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The subject's business category (X.520), by which factories mark production devices.
    pub business_category: Option<String>,
    /// The first moment of its validity.
    pub not_before: Timestamp,
    /// The last moment of its validity.
    pub not_after: Timestamp,
    /// The serial number in lower-case hex.
    pub serial_number: String,
}

/// Reads the first certificate of `bytes`: PEM, or one DER certificate.
///
/// # Errors
/// [`Error::Malformed`].
pub fn certificate_info(bytes: &[u8]) -> Result<CertificateInfo, Error> {
    let what = "certificate";
    let der = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN") => {
            pem_decode("CERTIFICATE", text).map_err(|error| Error::malformed(what, error))?
        }
        _ => bytes.to_vec(),
    };
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&der).map_err(|error| Error::malformed(what, error))?;
    let common_name = certificate
        .subject()
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .map(ToOwned::to_owned);
    let business_category = certificate
        .subject()
        .iter()
        .flat_map(x509_parser::prelude::RelativeDistinguishedName::iter)
        .find(|name| name.attr_type().to_id_string() == BUSINESS_CATEGORY)
        .and_then(|name| name.as_str().ok())
        .map(ToOwned::to_owned);
    let time =
        |seconds| Timestamp::from_second(seconds).map_err(|error| Error::malformed(what, error));
    Ok(CertificateInfo {
        common_name,
        business_category,
        not_before: time(certificate.validity().not_before.timestamp())?,
        not_after: time(certificate.validity().not_after.timestamp())?,
        serial_number: hex::encode(certificate.raw_serial()),
    })
}
