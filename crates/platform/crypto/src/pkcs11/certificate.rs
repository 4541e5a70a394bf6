//! Certificates in tokens.

use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass};
use updraft_tuf::pem_encode;

use super::TokenUri;
use super::module::{Login, failed_at, not_found, open, template};
use crate::Error;

/// The certificates that the URI means, as PEM blocks one after the other.
///
/// # Errors
/// [`Error::Token`]: no module, token or certificate, or a wrong PIN.
pub fn certificates_pem(uri: &TokenUri) -> Result<String, Error> {
    let session = open(uri, Login::Optional)?;
    let failed = failed_at(format!("read {uri}"));
    let mut wanted = template(uri, ObjectClass::CERTIFICATE)
        .ok_or_else(|| not_found(uri, "its type is not that of a certificate"))?;
    wanted.push(Attribute::CertificateType(CertificateType::X_509));
    let mut pem = String::new();
    for object in session.find_objects(&wanted).map_err(&failed)? {
        for value in session.get_attributes(object, &[AttributeType::Value]).map_err(&failed)? {
            if let Attribute::Value(der) = value {
                pem.push_str(&pem_encode("CERTIFICATE", &der));
                if !pem.ends_with('\n') {
                    pem.push('\n');
                }
            }
        }
    }
    if pem.is_empty() { Err(not_found(uri, "there is no such certificate")) } else { Ok(pem) }
}
