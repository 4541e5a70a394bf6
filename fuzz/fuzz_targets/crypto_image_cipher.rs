//! Encrypted images: what was sealed is opened, and what was changed, cut, swapped or grown gives an
//! error and not a byte that is not of the image. What is opened at all is what would be sealed.
#![no_main]
use std::sync::LazyLock;

use updraft_crypto::image_cipher::{CONTENT_ENCRYPTION, open, seal, sealed_length};
use updraft_crypto::{IMAGE_CIPHER, ImageKey, SigningKey};
use updraft_tuf::{EncryptedImage, Hashes};

const PIECE: usize = (64 << 10) + 16;

/// An ECU with a private key of ones, and a key that is wrapped for it: nothing is left to chance.
static ECU: LazyLock<SigningKey> = LazyLock::new(|| {
    let mut der = b"0.\x02\x01\x000\x05\x06\x03+ep\x04\"\x04 ".to_vec();
    der.extend([1; 32]);
    SigningKey::from_pkcs8_der(&der).expect("a key")
});

fn key() -> ImageKey {
    let image = EncryptedImage {
        filename: String::new(),
        length: 0,
        hashes: Hashes::default(),
        uri: None,
        method: IMAGE_CIPHER.to_owned(),
        key: "3TGMrAdLJ56oqGGQeZBFjNxA2V0iudSKA06Ic+uZPGrTX5zEj8+eWONG8hbZZZdUijliuAVilkVasFQ9QQz+2LUMiHWrFMmsOxvuMvcR/sc=".to_owned(),
        key_encryption: Some("hpke-x25519".to_owned()),
        content_encryption: Some(CONTENT_ENCRYPTION.to_owned()),
    };
    ECU.image_key(&image).expect("it is wrapped for this key")
}

fn sealed(image: &[u8]) -> Vec<u8> {
    let mut ciphertext = Vec::new();
    seal(key(), &mut &*image, &mut ciphertext).expect("sealed");
    assert_eq!(ciphertext.len() as u64, sealed_length(image.len() as u64));
    ciphertext
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // As it comes: nobody has the key.
    let mut image = Vec::new();
    if open(&key(), &mut &*data, &mut image).is_ok() {
        assert_eq!(sealed(&image), data);
    }
    let Some(([kind, a, b, c, d, e, f], rest)) = data.split_first_chunk() else { return };
    let number = |high: &u8, middle: &u8, low: &u8| {
        usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low)
    };
    let length = if rest.is_empty() { 0 } else { number(a, b, c) % (3 * PIECE) };
    let image: Vec<u8> = rest.iter().copied().cycle().take(length).collect();
    let whole = sealed(&image);
    let at = number(d, e, f) % whole.len();
    let mut bent = whole.clone();
    match kind % 5 {
        0 => bent[at] ^= kind | 1,
        1 => bent.truncate(at),
        2 => bent.extend(rest.iter().take(PIECE + 1)),
        3 => {
            // Two pieces in the place of each other.
            let count = whole.len() / PIECE;
            let (one, other) = (at / PIECE % count.max(1), usize::from(*d) % count.max(1));
            for place in 0..PIECE {
                if count > 1 {
                    bent.swap(one * PIECE + place, other * PIECE + place);
                }
            }
        }
        _ => drop(bent.splice(at.., rest.iter().copied())),
    }
    let mut opened = Vec::new();
    let result = open(&key(), &mut &*bent, &mut opened);
    assert!(image.starts_with(&opened), "a byte that is not of the image");
    assert_eq!(result.is_ok(), bent == whole);
    if result.is_ok() {
        assert!(opened == image);
    }
});
