//! The one encoding of a public key: SubjectPublicKeyInfo in strict DER.
//!
//! ```text
//! P-256  SEQUENCE { SEQUENCE { OID ecPublicKey, OID prime256v1 }, BIT STRING 04 x y }
//! RSA    SEQUENCE { SEQUENCE { OID rsaEncryption, NULL }, BIT STRING { SEQUENCE { n, e } } }
//! ```
//! Thresholds count keys by their bytes. If one key had two encodings, such as a compressed point
//! or a length in long form, its holder could sign twice.

/// All of a P-256 key before the point's coordinates; `04` says that both follow.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P256_COORDINATES: usize = 64;
/// AlgorithmIdentifier of rsaEncryption with its NULL.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// Whether `der` is a P-256 key with an uncompressed point.
pub(crate) fn is_p256(der: &[u8]) -> bool {
    der.strip_prefix(&P256_PREFIX).is_some_and(|point| point.len() == P256_COORDINATES)
}

/// The key of an uncompressed point, `04 x y`.
pub(crate) fn p256_of_point(point: &[u8]) -> Option<Vec<u8>> {
    let coordinates = point.strip_prefix(&[0x04])?;
    (coordinates.len() == P256_COORDINATES).then(|| [&P256_PREFIX[..], coordinates].concat())
}

/// Whether `der` is an RSA key.
pub(crate) fn is_rsa(der: &[u8]) -> bool {
    read_rsa(der).is_some()
}

fn read_rsa(der: &[u8]) -> Option<()> {
    let info = whole(der, SEQUENCE)?;
    let bits = whole(info.strip_prefix(&RSA_ALGORITHM)?, BIT_STRING)?;
    let key = whole(bits.strip_prefix(&[0])?, SEQUENCE)?;
    let (modulus, rest) = element(key, INTEGER)?;
    let exponent = whole(rest, INTEGER)?;
    (is_positive(modulus) && is_positive(exponent)).then_some(())
}

/// The content of the one element that fills `der`.
fn whole(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (content, rest) = element(der, tag)?;
    rest.is_empty().then_some(content)
}

/// The content of the first element, and what follows it. Lengths have their shortest form.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            if *length < 0x80 {
                return None;
            }
            (usize::from(*length), rest)
        }
        0x82 => {
            let (high, rest) = rest.split_first()?;
            let (low, rest) = rest.split_first()?;
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length < 0x100 {
                return None;
            }
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Whether the content of an INTEGER is above zero and has no needless leading byte.
fn is_positive(content: &[u8]) -> bool {
    match content {
        [] | [0] => false,
        [0, second, ..] => *second >= 0x80,
        [first, ..] => *first < 0x80,
    }
}

/// A well-formed key that belongs to nobody.
#[cfg(test)]
pub(crate) fn example_p256() -> Vec<u8> {
    [&P256_PREFIX[..], &[7; P256_COORDINATES]].concat()
}

/// A well-formed key of 2048 bits that belongs to nobody.
#[cfg(test)]
pub(crate) fn example_rsa() -> Vec<u8> {
    let mut der = vec![0x30, 0x82, 0x01, 0x22];
    der.extend(RSA_ALGORITHM);
    der.extend([
        0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00,
    ]);
    der.extend([0xab; 256]);
    der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    der
}

#[cfg(test)]
mod tests {
    use super::{example_p256, example_rsa, is_p256, is_rsa};

    #[test]
    fn one_key_has_one_encoding() {
        assert!(is_p256(&example_p256()) && is_rsa(&example_rsa()));
        assert!(!is_p256(&example_rsa()) && !is_rsa(&example_p256()));
        // A compressed point, in an outer length that fits it.
        let mut compressed = example_p256();
        compressed.truncate(27 + 32);
        compressed[1] = 0x39;
        compressed[24] = 0x22;
        compressed[26] = 0x02;
        assert!(!is_p256(&compressed));
        // A leading zero that the modulus does not need.
        let mut padded = example_rsa();
        padded[33] = 0x01;
        assert!(!is_rsa(&padded));
        // A length in a longer form than it needs: the exponent's.
        let mut long = example_rsa();
        let end = long.len() - 4;
        long.splice(end..=end, [0x81, 0x03]);
        long[3] += 1;
        long[22] += 1;
        long[27] += 1;
        assert!(!is_rsa(&long));
    }

    #[test]
    fn what_is_cut_or_goes_on_is_no_key() {
        for length in 0..example_rsa().len() {
            assert!(!is_rsa(&example_rsa()[..length]), "{length}");
        }
        for length in 0..example_p256().len() {
            assert!(!is_p256(&example_p256()[..length]), "{length}");
        }
        assert!(!is_rsa(&[example_rsa(), vec![0]].concat()));
        assert!(!is_p256(&[example_p256(), vec![0]].concat()));
    }
}
