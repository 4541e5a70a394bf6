//! The certificate authority: issuing server and device certificates.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};

use super::Identity;
use crate::{Error, random_bytes};

/// Longest common name, in characters (X.520 `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
}

impl Validity {
    /// `days` from `now`, beginning one hour earlier for clocks that are a little behind.
    #[must_use]
    pub fn days(now: Timestamp, days: u32) -> Self {
        let hour = jiff::SignedDuration::from_hours(1);
        let span = jiff::SignedDuration::from_hours(24 * i64::from(days));
        Self {
            not_before: now.checked_sub(hour).unwrap_or(now),
            not_after: now.checked_add(span).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A certificate authority whose key is in memory.
#[derive(Debug)]
pub struct CertificateAuthority {
    certificate_pem: String,
    key: KeyPair,
}

impl CertificateAuthority {
    /// A new authority with a new P-256 key.
    ///
    /// # Errors
    /// [`Error::Refused`] for an unusable name or validity.
    pub fn create(common_name: &str, validity: Validity) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(|_| Error::Provider { what: "generate a key" })?;
        let mut params = parameters(common_name, validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key).map_err(Error::refused)?;
        Ok(Self { certificate_pem: certificate.pem(), key })
    }

    /// An authority from its certificate and PKCS#8 key.
    ///
    /// # Errors
    /// [`Error::Malformed`] when either cannot be read.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem)
            .map_err(|error| Error::malformed("the authority's private key", error))?;
        let authority = Self { certificate_pem: certificate_pem.to_owned(), key };
        authority.issuer()?;
        Ok(authority)
    }

    /// The certificate that peers must trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key as PKCS#8 PEM. Store it with mode 0600.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A server's certificate and new key for these DNS names and IP addresses.
    ///
    /// # Errors
    /// [`Error::Refused`] without names, or when one of them is not a name.
    pub fn issue_server(&self, names: &[String], validity: Validity) -> Result<Identity, Error> {
        self.issue_with_new_key(&server_parameters(names, validity)?)
    }

    /// A server's certificate (PEM) for these names and a key (PEM, PKCS#8) that exists.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the key; [`Error::Refused`] as [`Self::issue_server`].
    pub fn issue_server_for_key(
        &self,
        names: &[String],
        key_pem: &str,
        validity: Validity,
    ) -> Result<String, Error> {
        let key = KeyPair::from_pem(key_pem)
            .map_err(|_| Error::malformed("private key", "not a PKCS#8 key of a known type"))?;
        let params = server_parameters(names, validity)?;
        Ok(params.signed_by(&key, &self.issuer()?).map_err(Error::refused)?.pem())
    }

    /// A device's certificate and new key; its common name is `device_id`.
    ///
    /// # Errors
    /// [`Error::Refused`] when `device_id` cannot be a common name.
    pub fn issue_device(&self, device_id: &str, validity: Validity) -> Result<Identity, Error> {
        self.issue_with_new_key(&device_parameters(device_id, validity)?)
    }

    /// A device's certificate (PEM) for the key of a PKCS#10 request (PEM), whose signature is
    /// checked. Names and usages in the request are ignored; the common name is `device_id`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the request, [`Error::Refused`] for the device id.
    pub fn issue_device_for_request(
        &self,
        request_pem: &str,
        device_id: &str,
        validity: Validity,
    ) -> Result<String, Error> {
        let mut request = CertificateSigningRequestParams::from_pem(request_pem)
            .map_err(|error| Error::malformed("certificate request", error))?;
        request.params = device_parameters(device_id, validity)?;
        Ok(request.signed_by(&self.issuer()?).map_err(Error::refused)?.pem())
    }

    fn issue_with_new_key(&self, params: &CertificateParams) -> Result<Identity, Error> {
        let key = KeyPair::generate().map_err(|_| Error::Provider { what: "generate a key" })?;
        let certificate = params.signed_by(&key, &self.issuer()?).map_err(Error::refused)?;
        Ok(Identity { certificate_pem: certificate.pem(), private_key_pem: key.serialize_pem() })
    }

    fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, Error> {
        Issuer::from_ca_cert_pem(&self.certificate_pem, &self.key)
            .map_err(|error| Error::malformed("the authority's certificate", error))
    }
}

fn server_parameters(names: &[String], validity: Validity) -> Result<CertificateParams, Error> {
    let first = names.first().ok_or_else(|| Error::refused("a server needs a name"))?;
    let common_name: String = first.chars().take(MAX_COMMON_NAME).collect();
    let mut params = parameters(&common_name, validity)?;
    for name in names {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(Error::refused)?),
        };
        params.subject_alt_names.push(name);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn device_parameters(device_id: &str, validity: Validity) -> Result<CertificateParams, Error> {
    let mut params = parameters(device_id, validity)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn parameters(common_name: &str, validity: Validity) -> Result<CertificateParams, Error> {
    let length = common_name.chars().count();
    if length == 0 || length > MAX_COMMON_NAME || common_name.chars().any(char::is_control) {
        return Err(Error::refused(format!(
            "common name {common_name:?} has not 1 to {MAX_COMMON_NAME} printable characters"
        )));
    }
    if validity.not_after <= validity.not_before {
        return Err(Error::refused("its validity would end before it begins"));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&serial_number()?));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = |time: Timestamp| {
        let limit = Timestamp::MAX.as_second().min(253_402_300_799);
        let whole = time.as_second().clamp(0, limit);
        Duration::from_secs(u64::try_from(whole).unwrap_or(0))
    };
    params.not_before = epoch + seconds(validity.not_before);
    params.not_after = epoch + seconds(validity.not_after);
    Ok(params)
}

/// 16 random bytes whose first bit is clear, so that the number is positive.
fn serial_number() -> Result<[u8; 16], Error> {
    let mut bytes = random_bytes::<16>()?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(bytes)
}
