//! What tokens and the rest of the world write differently: points of curves, signatures, keys.

/// Tags of DER.
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// One value of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
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

/// A number that is not negative, from big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content = bytes.get(zeros..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    der(INTEGER, &content)
}

/// `r || s`, as tokens sign, as the world writes it.
pub(crate) fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    Some(der(SEQUENCE, &[integer(r), integer(s)].concat()))
}

/// The `RSAPublicKey` of modulus and exponent.
pub(crate) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[integer(modulus), integer(exponent)].concat())
}

/// A point as some tokens want that of another.
pub(crate) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    der(OCTET_STRING, bytes)
}

/// A point as `CKA_EC_POINT` has it: within an OCTET STRING, or bare in some tokens.
pub(crate) fn point(bytes: &[u8]) -> &[u8] {
    match bytes {
        [OCTET_STRING, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::{der, ecdsa_signature, integer, point};

    #[test]
    fn numbers_are_minimal_and_not_negative() {
        assert_eq!(integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(der(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(der(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn halves_become_numbers() {
        assert_eq!(ecdsa_signature(&[0, 1, 0x80, 2]).unwrap(), [48, 8, 2, 1, 1, 2, 3, 0, 128, 2]);
        assert!(ecdsa_signature(&[1]).is_none());
        assert!(ecdsa_signature(&[]).is_none());
        assert_eq!(point(&[4, 2, 9, 9]), [9, 9]);
        assert_eq!(point(&[4, 9, 9]), [4, 9, 9]);
    }
}
