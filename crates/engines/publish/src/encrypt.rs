//! Images that are encrypted for one ECU (Uptane 2.1.0, U-M9).
//!
//! The Image repository vouches for the plain image, as always. The ciphertext lies beside it under a
//! name of its own, and the Director says in its targets how the ECU gets from one to the other:
//! [`EncryptedImage::to_members`].

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256, Sha512};
use updraft_crypto::image_cipher::{self, CONTENT_ENCRYPTION, CipherError};
use updraft_crypto::{IMAGE_CIPHER, ImageKey, KeyEncryption};
use updraft_tuf::{EncryptedImage, Hashes, PublicKey};

use crate::Error;

/// Encrypts `image` for the ECU with this public key to `ciphertext`, and gives what the Director
/// has to say about it. `filename` is where devices find the ciphertext among the targets.
///
/// # Errors
/// [`Error::Crypto`] when nothing can be encrypted to the key; [`Error::Image`] when the image
/// cannot be read or the ciphertext not be written.
pub fn encrypt_image(
    ecu: &PublicKey,
    filename: &str,
    image: &mut dyn Read,
    ciphertext: &mut dyn Write,
) -> Result<EncryptedImage, Error> {
    let key = ImageKey::generate()?;
    let wrapped = key.wrap(ecu)?;
    let mut written =
        Hashing { to: ciphertext, length: 0, sha256: Sha256::new(), sha512: Sha512::new() };
    image_cipher::seal(key, image, &mut written).map_err(|error| match error {
        CipherError::Io(source) => Error::Image { source },
        CipherError::Cipher(error) => error.into(),
    })?;
    let sha256 = Hashes::from_sha256(&hex::encode(written.sha256.finalize()));
    Ok(EncryptedImage {
        filename: filename.to_owned(),
        length: written.length,
        hashes: sha256.and_sha512(&hex::encode(written.sha512.finalize())),
        uri: None,
        method: IMAGE_CIPHER.to_owned(),
        key: BASE64_STANDARD.encode(wrapped),
        key_encryption: Some(KeyEncryption::of(ecu.key_type()).name().to_owned()),
        content_encryption: Some(CONTENT_ENCRYPTION.to_owned()),
    })
}

struct Hashing<'a> {
    to: &'a mut dyn Write,
    length: u64,
    sha256: Sha256,
    sha512: Sha512,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        let part = bytes.get(..written).unwrap_or_default();
        self.sha256.update(part);
        self.sha512.update(part);
        self.length = self.length.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use updraft_crypto::{KeyAlgorithm, SigningKey};

    use super::*;

    #[test]
    fn the_ecu_opens_what_was_encrypted_for_it_and_nobody_else() {
        let image = b"firmware".repeat(20_000);
        for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
            let ecu = SigningKey::generate(algorithm).unwrap();
            let mut ciphertext = Vec::new();
            let told =
                encrypt_image(ecu.public(), "fw.enc", &mut &*image, &mut ciphertext).unwrap();
            assert!(told.verify(&ciphertext), "{algorithm}");
            assert_eq!(told.length, image_cipher::sealed_length(image.len() as u64));
            let mut opened = Vec::new();
            let key = ecu.image_key(&told).unwrap();
            image_cipher::open(&key, &mut &*ciphertext, &mut opened).unwrap();
            assert!(opened == image, "{algorithm}");
            let other = SigningKey::generate(algorithm).unwrap();
            other.image_key(&told).unwrap_err();
            for wrong in [
                EncryptedImage { method: "aes128".to_owned(), ..told.clone() },
                EncryptedImage { key: "!".to_owned(), ..told.clone() },
                EncryptedImage { key_encryption: None, ..told.clone() },
                EncryptedImage { content_encryption: None, ..told.clone() },
            ] {
                ecu.image_key(&wrong).unwrap_err();
            }
        }
    }
}
