//! Lists of certificates as CMS writes them (RFC 5652), the way EST hands them out (RFC 7030,
//! section 4.1.3): a `SignedData` that signs nothing.
//!
//! ```text
//! ContentInfo ::= SEQUENCE { 1.2.840.113549.1.7.2, [0] EXPLICIT SignedData }
//! SignedData  ::= SEQUENCE { version 1, digestAlgorithms SET {}, SEQUENCE { 1.2.840.113549.1.7.1 },
//!                            [0] IMPLICIT SET OF Certificate, signerInfos SET {} }
//! ```

use updraft_tuf::{pem_decode, pem_encode};

use crate::Error;

const WHAT: &str = "list of certificates";
/// The longest list that is read, in bytes.
const MAX_LENGTH: usize = 256 << 10;
/// The most certificates that are read.
const MAX_CERTIFICATES: usize = 32;

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const FIRST: u8 = 0xa0;
/// 1.2.840.113549.1.7.2 and .1, whole.
pub(crate) const SIGNED_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];

/// Writes certificates (PEM) as such a list, in DER.
///
/// # Errors
/// [`Error::Malformed`] for a certificate.
pub fn certificate_list(certificates_pem: &[&str]) -> Result<Vec<u8>, Error> {
    let mut certificates = Vec::new();
    for pem in certificates_pem {
        let der = pem_decode("CERTIFICATE", pem);
        certificates.extend(der.map_err(|error| Error::malformed("certificate", error))?);
    }
    let signed = [
        value(INTEGER, &[1]),
        value(SET, &[]),
        value(SEQUENCE, &DATA),
        value(FIRST, &certificates),
        value(SET, &[]),
    ];
    let signed = value(SEQUENCE, &signed.concat());
    Ok(value(SEQUENCE, &[&SIGNED_DATA[..], &value(FIRST, &signed)].concat()))
}

/// Reads the certificates of such a list (DER), each as PEM.
///
/// # Errors
/// [`Error::Malformed`].
pub fn certificates_of_list(der: &[u8]) -> Result<Vec<String>, Error> {
    if der.len() > MAX_LENGTH {
        return Err(Error::malformed(WHAT, "it is over 256 KiB"));
    }
    read(der).ok_or_else(|| Error::malformed(WHAT, "it is no SignedData with certificates"))
}

fn read(der: &[u8]) -> Option<Vec<String>> {
    let (content, _) = take(der, SEQUENCE)?;
    let content = content.strip_prefix(&SIGNED_DATA[..])?;
    let (explicit, _) = take(content, FIRST)?;
    let (signed, _) = take(explicit, SEQUENCE)?;
    let (_, rest) = take(signed, INTEGER)?;
    let (_, rest) = take(rest, SET)?;
    let (_, rest) = take(rest, SEQUENCE)?;
    let (mut certificates, _) = take(rest, FIRST)?;
    let mut read = Vec::new();
    while !certificates.is_empty() && read.len() < MAX_CERTIFICATES {
        let (_, rest) = take(certificates, SEQUENCE)?;
        let whole = certificates.get(..certificates.len() - rest.len())?;
        x509_parser::parse_x509_certificate(whole).ok()?;
        read.push(pem_encode("CERTIFICATE", whole));
        certificates = rest;
    }
    (certificates.is_empty() && !read.is_empty()).then_some(read)
}

/// The content of a value of this tag, and what follows it. Lengths are definite, as DER has them.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// One value of DER.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => out.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            let length = length.get(zeros..).unwrap_or_default();
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7f));
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::{certificate_list, certificates_of_list};
    use crate::tls::{CertificateAuthority, Validity};

    fn certificate(name: &str) -> String {
        let validity = Validity::days("2024-01-01T00:00:00Z".parse().unwrap(), 30);
        CertificateAuthority::create(name, validity).unwrap().certificate_pem().to_owned()
    }

    #[test]
    fn lists_come_back_as_they_were_and_openssl_reads_them() {
        let (one, two) = (certificate("one"), certificate("two"));
        let list = certificate_list(&[&one, &two]).unwrap();
        let trimmed = |text: &String| text.replace("\r\n", "\n").trim().to_owned();
        let read = certificates_of_list(&list).unwrap();
        assert_eq!(
            read.iter().map(trimmed).collect::<Vec<_>>(),
            [one, two].iter().map(trimmed).collect::<Vec<_>>()
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.p7");
        #[allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]
        std::fs::write(&file, &list).unwrap();
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["pkcs7", "-inform", "DER", "-print_certs", "-noout", "-in"]).arg(&file);
        let output = openssl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("CN = one") && text.contains("two"));
    }

    #[test]
    fn lists_that_are_none_are_refused() {
        let list = certificate_list(&[&certificate("one")]).unwrap();
        for end in 0..list.len() {
            assert!(certificates_of_list(&list[..end]).is_err(), "cut after {end}");
        }
        assert!(certificates_of_list(&certificate_list(&[]).unwrap()).is_err());
        assert!(certificates_of_list(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(certificates_of_list(&vec![0x30; 300 << 10]).is_err());
    }
}
