//! Images that are encrypted for one ECU: what is fetched is the ciphertext.
//!
//! ```text
//! fetch      the ciphertext, verified by the Director's hashes of it
//! primary    its key opens the image's key; the image is verified before it has a name
//! secondary  the ciphertext is sent on; nobody but that ECU can open it
//! ```

use updraft_crypto::ImageKey;
use updraft_crypto::image_cipher::sealed_length;
use updraft_error::Kind;
use updraft_tuf::{EncryptedImage, KeyType, UptaneTarget};
use updraft_update::{Digest, StepError};

use super::file::{address_of, address_of_name};
use super::images::Wanted;
use crate::keys::EcuKey;
use crate::session::Session;

/// The file that is fetched for a target: its image, or the ciphertext of that.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    target: &'a UptaneTarget,
    digest: Digest,
    url: String,
}

impl<'a> Source<'a> {
    pub(crate) fn of(session: &Session, target: &'a UptaneTarget) -> Result<Self, StepError> {
        let (hashes, url) = match &target.encrypted {
            None => (&target.hashes, address_of(session, target)),
            Some(encrypted) => (&encrypted.hashes, address_of_ciphertext(session, encrypted)),
        };
        let digest = hashes.digest().ok_or_else(|| unverifiable(target))?;
        Ok(Self { target, digest: digest.parse().map_err(StepError::new)?, url })
    }

    /// What has to be fetched.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        let (hashes, length) = match &self.target.encrypted {
            None => (&self.target.hashes, self.target.length),
            Some(encrypted) => (&encrypted.hashes, encrypted.length),
        };
        Wanted { digest: &self.digest, hashes, length, url: &self.url }
    }
}

/// That nothing says which bytes a target is.
pub(super) fn unverifiable(target: &UptaneTarget) -> StepError {
    let problem = format!("find a hash of {} that can be verified", target.filepath);
    StepError::message(Kind::Rejected, problem)
}

/// The key of an image that is encrypted for the primary. Asked before anything is fetched.
pub(crate) fn image_key(
    key: &EcuKey,
    target: &UptaneTarget,
    encrypted: &EncryptedImage,
) -> Result<ImageKey, StepError> {
    let refused = |kind, problem: &str| {
        StepError::message(kind, format!("decrypt {}: {problem}", target.filepath))
    };
    if sealed_length(target.length) != encrypted.length {
        return Err(refused(Kind::Rejected, "the lengths of image and ciphertext do not fit"));
    }
    match key {
        EcuKey::Stored(key) => key.image_key(encrypted),
        EcuKey::Token(key) => key.image_key(encrypted),
    }
    .map_err(StepError::new)
}

/// Why a key can open nothing, as far as its sort tells. Whether the token lets this one do it is
/// known when it is asked, and that is before anything is fetched too.
pub(crate) fn cannot_open(key: &EcuKey) -> Option<&'static str> {
    match key {
        EcuKey::Token(key) if key.public().key_type() == KeyType::Ed25519 => {
            Some("the ECU's key is an Ed25519 key in a token, which only signs")
        }
        _ => None,
    }
}

fn address_of_ciphertext(session: &Session, encrypted: &EncryptedImage) -> String {
    match encrypted.uri.as_deref() {
        Some(uri) if !uri.is_empty() => uri.to_owned(),
        _ => address_of_name(session, &encrypted.filename),
    }
}
