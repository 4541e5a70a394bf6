//! Opening a wrapped key with a private key that is elsewhere: what is left to do with what the
//! token made of it.
//!
//! ```text
//! RSA    token: c^d mod n, raw            here: EME-OAEP decoding (RFC 8017, 7.1.2)
//! P-256  token: x of d · enc, raw         here: DHKEM and the key schedule of HPKE (RFC 9180)
//! ```

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use super::{INFO, KEY, P256_POINT};

const HASH: usize = 32;
/// DHKEM(P-256, HKDF-SHA256).
const KEM: &[u8] = b"KEM\x00\x10";
/// The same with HKDF-SHA256 and AES-256-GCM.
const SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x02";

/// The image's key in the raw result of RSA, as long as the modulus.
///
/// Its length is known, so every other byte is too. All are looked at whatever the first ones are:
/// how long it takes tells nothing of which byte is wrong (Manger's attack).
pub(crate) fn unpad_oaep(raw: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (leading, masked) = raw.split_first()?;
    let (masked_seed, masked_block) = masked.split_at_checked(HASH)?;
    let fixed = masked_block.len().checked_sub(KEY)?;
    let separator = fixed.checked_sub(1).filter(|at| *at >= HASH)?;
    let seed = Zeroizing::new(xor(masked_seed, &mask(masked_block, HASH)));
    let block = Zeroizing::new(xor(masked_block, &mask(&seed, masked_block.len())));
    let mut expected = digest(&SHA256, b"").as_ref().to_vec();
    expected.resize(separator, 0);
    expected.push(1);
    let (padding, key) = block.split_at_checked(fixed)?;
    let differences = padding
        .iter()
        .zip(&expected)
        .fold(*leading, |all, (one, other)| std::hint::black_box(all | (one ^ other)));
    (differences == 0).then(|| Zeroizing::new(key.to_vec()))
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

/// MGF1 with SHA-256.
fn mask(seed: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut mask = Zeroizing::new(Vec::with_capacity(length + HASH));
    let mut counter: u32 = 0;
    while mask.len() < length {
        let block = Zeroizing::new([seed, &counter.to_be_bytes()].concat());
        mask.extend_from_slice(digest(&SHA256, &block).as_ref());
        counter = counter.wrapping_add(1);
    }
    mask.truncate(length);
    mask
}

/// The image's key in `enc ‖ ciphertext`, with what the token agreed on with `enc`.
pub(crate) fn open_hpke_p256(
    own: &[u8; P256_POINT],
    wrapped: &[u8],
    agreed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (enc, ciphertext) = wrapped.split_at_checked(P256_POINT)?;
    let eae = labeled_extract(KEM, &[], b"eae_prk", agreed);
    let shared = labeled_expand(KEM, &eae, b"shared_secret", &[enc, own].concat());
    let mut context = vec![0];
    context.extend_from_slice(&*labeled_extract(SUITE, &[], b"psk_id_hash", &[]));
    context.extend_from_slice(&*labeled_extract(SUITE, &[], b"info_hash", INFO));
    let secret = labeled_extract(SUITE, &*shared, b"secret", &[]);
    let key = labeled_expand(SUITE, &secret, b"key", &context);
    let nonce = labeled_expand_to(SUITE, &secret, b"base_nonce", &context, NONCE_LEN);
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).ok()?);
    let nonce = Nonce::assume_unique_for_key(*nonce.first_chunk::<NONCE_LEN>()?);
    let mut opened = Zeroizing::new(ciphertext.to_vec());
    let length = key.open_in_place(nonce, Aad::empty(), &mut opened).ok()?.len();
    opened.truncate(length);
    Some(opened)
}

type Block = Zeroizing<[u8; HASH]>;

/// RFC 9180, 4; HKDF-Extract is one HMAC.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]) -> Block {
    let text = Zeroizing::new([b"HPKE-v1", suite, label, secret].concat());
    authenticated(salt, &text)
}

/// The same for what is no longer than one block, for which HKDF-Expand is one HMAC too.
fn labeled_expand(suite: &[u8], secret: &Block, label: &[u8], info: &[u8]) -> Block {
    labeled_expand_to(suite, secret, label, info, HASH)
}

fn labeled_expand_to(
    suite: &[u8],
    secret: &Block,
    label: &[u8],
    info: &[u8],
    length: usize,
) -> Block {
    let length = u16::try_from(length.min(HASH)).unwrap_or_default().to_be_bytes();
    authenticated(&**secret, &[&length[..], b"HPKE-v1", suite, label, info, &[1]].concat())
}

fn authenticated(key: &[u8], text: &[u8]) -> Block {
    let mut block = Zeroizing::new([0; HASH]);
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text);
    block.copy_from_slice(tag.as_ref());
    block
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{ImageKey, KeyAlgorithm, SigningKey};

    /// RSA without any padding, as a token does it.
    fn raw_rsa(own: &SigningKey, wrapped: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (pem, file) = (folder.path().join("key.pem"), folder.path().join("wrapped"));
        std::fs::write(&pem, own.to_pkcs8_pem().unwrap()).unwrap();
        std::fs::write(&file, wrapped).unwrap();
        let opened = Command::new("openssl")
            .args(["pkeyutl", "-decrypt", "-pkeyopt", "rsa_padding_mode:none", "-inkey"])
            .args([&pem, std::path::Path::new("-in"), &file])
            .output()
            .unwrap();
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        opened.stdout
    }

    #[test]
    fn padding_is_taken_off_and_none_that_is_wrong() {
        let (key, own) = (ImageKey::generate().unwrap(), KeyAlgorithm::Rsa2048);
        let own = SigningKey::generate(own).unwrap();
        let raw = raw_rsa(&own, &key.wrap(own.public()).unwrap());
        assert_eq!(*unpad_oaep(&raw).unwrap(), key.bytes());
        for at in [0, 1, HASH, HASH + 1, raw.len() - KEY - 1, raw.len() - 1] {
            let mut changed = raw.clone();
            changed[at] ^= 0x80;
            assert!(unpad_oaep(&changed).is_none(), "changed at {at}");
        }
        for length in [0, 1, HASH, 2 * HASH + 1, 3 * HASH + 1] {
            assert!(unpad_oaep(&raw[..length]).is_none(), "cut to {length}");
        }
    }

    /// What the two agree on was computed apart from all of this, from the private key of ones.
    #[test]
    fn what_another_implementation_wrapped_is_opened_with_the_agreed_secret() {
        let own = "046ff03b949241ce1dadd43519e6960e0a85b41a69a05c328103aa2bce1594ca163c4f753a55bf01dc53f6c0b0c7eee78b40c6ff7d25a96e2282b989cef71c144a";
        let own: [u8; P256_POINT] = hex::decode(own).unwrap().try_into().unwrap();
        let wrapped = hex::decode(super::super::tests::VECTORS[1].2).unwrap();
        let agreed = hex::decode(AGREED).unwrap();
        assert_eq!(*open_hpke_p256(&own, &wrapped, &agreed).unwrap(), [7; KEY]);
        let mut other = agreed.clone();
        other[0] ^= 1;
        assert!(open_hpke_p256(&own, &wrapped, &other).is_none());
        for length in [0, P256_POINT, P256_POINT + 1, wrapped.len() - 1] {
            assert!(open_hpke_p256(&own, &wrapped[..length], &agreed).is_none(), "{length}");
        }
    }

    const AGREED: &str = "061f36975dd511a93e2b176829959c9a1d78eae41f03702641de98c69e4f2ce8";
}
