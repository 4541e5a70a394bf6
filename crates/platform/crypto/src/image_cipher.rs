//! The content of an encrypted image: AES-256-GCM over pieces, so that it needs no memory and no
//! byte of it is handed on that was changed.
//!
//! ```text
//! ciphertext  piece* ; piece = AES-256-GCM(up to 65536 bytes of the image) ‖ tag (16 bytes)
//! nonce       00 × 7 ‖ number of the piece, u32 big-endian from 0 ‖ 01 for the last one, else 00
//! ```
//! This is the STREAM construction with a key of its own for every image, hence the zeros. Every
//! piece but the last is full; an empty image has one empty piece. Cutting, swapping and adding
//! pieces change a nonce. In metadata it is called [`CONTENT_ENCRYPTION`].

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{Error, ImageKey};

/// The name in metadata.
pub const CONTENT_ENCRYPTION: &str = "aes-256-gcm-stream-64k";
const PIECE: usize = 64 << 10;
const TAG: usize = 16;

/// Why an image was not encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum CipherError {
    /// It cannot be read or written.
    #[error("read or write the image")]
    Io(#[from] io::Error),
    /// It was changed, cut, or encrypted with another key.
    #[error(transparent)]
    Cipher(#[from] Error),
}

/// How long the ciphertext of an image of this length is, in bytes.
#[must_use]
pub fn sealed_length(length: u64) -> u64 {
    let pieces = length.div_ceil(PIECE as u64).max(1);
    length.saturating_add(pieces.saturating_mul(TAG as u64))
}

/// Encrypts `from` to `to`. A key seals one image only.
///
/// # Errors
/// [`CipherError`]; what was written by then is of no use.
pub fn seal(key: ImageKey, from: &mut dyn Read, to: &mut dyn Write) -> Result<(), CipherError> {
    let aead = aead(&key)?;
    drop(key);
    pieces(from, PIECE, |nonce, mut piece| {
        let failed = |_| Error::Provider { what: "encrypt the image" };
        aead.seal_in_place_append_tag(nonce, Aad::empty(), &mut piece).map_err(failed)?;
        Ok(to.write_all(&piece)?)
    })
}

/// Decrypts `from` to `to`. What is written is what was sealed, from its beginning; whether it is
/// all of it is known when this returns.
///
/// # Errors
/// [`CipherError`]; what was written by then is not to be used.
pub fn open(key: &ImageKey, from: &mut dyn Read, to: &mut dyn Write) -> Result<(), CipherError> {
    let aead = aead(key)?;
    pieces(from, PIECE + TAG, |nonce, mut piece| {
        let changed = |_| Error::Undecryptable { problem: "it was changed or cut".to_owned() };
        let plain = aead.open_in_place(nonce, Aad::empty(), &mut piece).map_err(changed)?;
        Ok(to.write_all(plain)?)
    })
}

fn aead(key: &ImageKey) -> Result<LessSafeKey, Error> {
    let failed = |_| Error::Provider { what: "set up the image's cipher" };
    UnboundKey::new(&AES_256_GCM, key.bytes()).map(LessSafeKey::new).map_err(failed)
}

/// Hands out `from` in pieces of this length, each with its nonce; the last may be shorter.
fn pieces(
    from: &mut dyn Read,
    length: usize,
    mut work: impl FnMut(Nonce, Vec<u8>) -> Result<(), CipherError>,
) -> Result<(), CipherError> {
    let mut number: u32 = 0;
    let mut piece = read_piece(from, length)?;
    loop {
        // A full piece is the last one when nothing follows it.
        let next = if piece.len() == length { read_piece(from, length)? } else { Vec::new() };
        let is_last = next.is_empty();
        work(nonce(number, is_last), piece)?;
        if is_last {
            return Ok(());
        }
        let too_long = || Error::Undecryptable { problem: "it has too many pieces".to_owned() };
        number = number.checked_add(1).ok_or_else(too_long)?;
        piece = next;
    }
}

fn read_piece(from: &mut dyn Read, length: usize) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(length.saturating_add(TAG));
    from.take(length as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

fn nonce(number: u32, is_last: bool) -> Nonce {
    let [a, b, c, d] = number.to_be_bytes();
    let bytes: [u8; NONCE_LEN] = [0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(is_last)];
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256_hex;

    fn key() -> ImageKey {
        ImageKey::of_bytes([7; 32])
    }

    fn sealed(image: &[u8]) -> Vec<u8> {
        let mut ciphertext = Vec::new();
        seal(key(), &mut &*image, &mut ciphertext).unwrap();
        ciphertext
    }

    fn opened(ciphertext: &[u8]) -> Option<Vec<u8>> {
        let mut image = Vec::new();
        open(&key(), &mut &*ciphertext, &mut image).ok().map(|()| image)
    }

    fn image(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
    }

    /// Expected: AES-256-GCM of Python's `cryptography`, piece by piece.
    #[test]
    fn the_ciphertext_is_that_of_another_implementation() {
        let ciphertext = sealed(&image(PIECE + 10));
        assert_eq!(ciphertext.len(), 65578);
        assert_eq!(
            sha256_hex(&ciphertext),
            "ae090dffc24801baf0e46f3b4acaeb2e689c28df7d7049644efdd9e3e9039df1"
        );
        assert_eq!(hex::encode(sealed(b"")), "7049470ab6b7fc76f592920b1365a71d");
    }

    #[test]
    fn images_of_every_sort_of_length_come_back() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 5] {
            let image = image(length);
            let ciphertext = sealed(&image);
            assert_eq!(ciphertext.len() as u64, sealed_length(length as u64), "{length}");
            assert_eq!(opened(&ciphertext), Some(image), "{length}");
        }
    }

    #[test]
    fn nothing_that_was_changed_cut_swapped_or_grown_is_opened() {
        let whole = sealed(&image(2 * PIECE + 5));
        let piece = PIECE + TAG;
        for at in [0, piece - 1, piece, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(opened(&changed), None, "changed at {at}");
        }
        for length in [0, 1, TAG, piece - 1, piece, 2 * piece, whole.len() - 1] {
            assert_eq!(opened(&whole[..length]), None, "cut to {length}");
        }
        let swapped = [&whole[piece..2 * piece], &whole[..piece], &whole[2 * piece..]].concat();
        assert_eq!(opened(&swapped), None);
        assert_eq!(opened(&[&whole[..], &[0]].concat()), None);
        assert_eq!(opened(&[&whole[..], &sealed(b"")].concat()), None);
        let mut image = Vec::new();
        let other = ImageKey::of_bytes([8; 32]);
        open(&other, &mut &*whole, &mut image).unwrap_err();
        assert_eq!(image, b"", "not a byte of what is not authentic is handed on");
    }
}
