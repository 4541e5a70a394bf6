//! Questions about certificates that others made.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use updraft_tuf::pem_decode;
use x509_parser::extensions::GeneralName;

use super::provider;
use crate::Error;

const WHAT: &str = "certificate";

fn der(pem: &str) -> Result<Vec<u8>, Error> {
    pem_decode("CERTIFICATE", pem).map_err(|error| Error::malformed(WHAT, error))
}

/// Refuses a certificate (PEM) with which nobody could connect to a server whose authority is
/// `ca_pem`: one that this authority has not signed, that is not for clients, or not valid now.
///
/// # Errors
/// [`Error::Malformed`] for either of them; [`Error::Refused`].
pub fn check_client_certificate(
    ca_pem: &str,
    certificate_pem: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der(ca_pem)?)).map_err(Error::refused)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(Error::refused)?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let certificate = CertificateDer::from(der(certificate_pem)?);
    verifier.verify_client_cert(&certificate, &[], now).map_err(Error::refused)?;
    Ok(())
}

/// The DNS names and addresses that a server's certificate (PEM) is for.
///
/// # Errors
/// [`Error::Malformed`].
pub fn server_names(certificate_pem: &str) -> Result<Vec<String>, Error> {
    let der = der(certificate_pem)?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&der).map_err(|error| Error::malformed(WHAT, error))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| Error::malformed(WHAT, error))?
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                .ok()
                .map(|address| address.to_string())
        }
        _ => None,
    };
    Ok(names.iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::{check_client_certificate, server_names};
    use crate::tls::{CertificateAuthority, Validity};
    use jiff::Timestamp;

    #[test]
    fn only_the_authority_s_own_client_certificates_fit() {
        let now: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        let validity = Validity::days(now, 10);
        let ours = CertificateAuthority::create("ours", validity).unwrap();
        let other = CertificateAuthority::create("other", validity).unwrap();
        let device = ours.issue_device("vehicle-1", validity).unwrap().certificate_pem;
        let check = |ca: &CertificateAuthority, pem: &str, now| {
            check_client_certificate(ca.certificate_pem(), pem, now)
        };
        check(&ours, &device, now).unwrap();
        check(&other, &device, now).unwrap_err();
        let later: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        check(&ours, &device, later).unwrap_err();
        let names = ["updates.example".to_owned(), "10.1.2.3".to_owned(), "::1".to_owned()];
        let server = ours.issue_server(&names, validity).unwrap().certificate_pem;
        check(&ours, &server, now).unwrap_err();
        assert_eq!(server_names(&server).unwrap(), names);
        assert!(server_names("nothing").is_err());
    }
}
