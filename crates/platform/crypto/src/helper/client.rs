//! Asking a helper.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::Signer;
use rustls::{SignatureAlgorithm, SignatureScheme};
use updraft_error::Kind;
use updraft_tuf::{Dialect, EncryptedImage, PublicKey, Sign, SigningFailed};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::protocol::{Answer, Request, key_type_of};
use crate::image_key::opened_image_key;
use crate::remote::{self, RemoteKey, Scheme};
use crate::{Error, ImageKey};

/// A way to a helper, and back. When it is dropped, the helper ends.
pub trait Channel: Read + Write + Send {}

impl<T: Read + Write + Send> Channel for T {}

type Connect = dyn Fn() -> io::Result<Box<dyn Channel>> + Send + Sync;

/// A helper, started when it is needed and again when it died.
pub struct KeyHelper {
    connect: Box<Connect>,
    channel: Mutex<Option<Box<dyn Channel>>>,
}

impl fmt::Debug for KeyHelper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHelper { .. }")
    }
}

impl KeyHelper {
    /// A helper that `connect` starts.
    pub fn new(
        connect: impl Fn() -> io::Result<Box<dyn Channel>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { connect: Box::new(connect), channel: Mutex::new(None) })
    }

    /// The key that the URI means.
    ///
    /// # Errors
    /// [`Error::Token`]: no helper, module, token or key, or a wrong PIN.
    pub fn key(self: &Arc<Self>, uri: &str) -> Result<HelperKey, Error> {
        let asked = "describe a key";
        let answer = self.ask(asked, &Request::Describe { uri: uri.to_owned() })?;
        let Answer::Key { key_type, public, spki } = answer else { return Err(unusable(asked)) };
        let key_type = key_type_of(&key_type).ok_or_else(|| unusable(asked))?;
        let bytes = |text: &str| hex::decode(text).map_err(|_| unusable(asked));
        let public = PublicKey::new(key_type, bytes(&public)?).map_err(|_| unusable(asked))?;
        let spki = bytes(&spki)?;
        let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| unusable(asked))?;
        let bits = parsed.subject_public_key.data.to_vec();
        Ok(HelperKey {
            helper: Arc::clone(self),
            uri: uri.into(),
            public: Arc::new(public),
            spki: spki.into(),
            bits: bits.into(),
        })
    }

    /// The certificates that the URI means, as PEM blocks one after the other.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn certificates_pem(&self, uri: &str) -> Result<String, Error> {
        let asked = "read certificates";
        match self.ask(asked, &Request::Certificates { uri: uri.to_owned() })? {
            Answer::Certificates { pem } => Ok(pem),
            _ => Err(unusable(asked)),
        }
    }

    fn sign(&self, uri: &str, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        let asked = "sign";
        let message = hex::encode(message);
        let answer = self.ask(asked, &Request::Sign { uri: uri.to_owned(), scheme, message })?;
        let Answer::Signature { bytes } = answer else { return Err(unusable(asked)) };
        hex::decode(bytes).map_err(|_| unusable(asked))
    }

    fn open(&self, uri: &str, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let asked = "open an image's key";
        let wrapped = hex::encode(wrapped);
        let answer = self.ask(asked, &Request::Open { uri: uri.to_owned(), wrapped })?;
        let Answer::Opened { key } = answer else { return Err(unusable(asked)) };
        key.map(|key| key.bytes().ok_or_else(|| unusable(asked))).transpose()
    }

    fn ask(&self, asked: &str, request: &Request) -> Result<Answer, Error> {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tries = if channel.is_some() { 2 } else { 1 };
        loop {
            tries -= 1;
            let mut open = match channel.take() {
                Some(open) => open,
                None => (self.connect)()
                    .map_err(|error| failed("start the key helper", &error.to_string()))?,
            };
            match exchange(open.as_mut(), request) {
                Ok(Answer::Failed { operation, problem, kind }) => {
                    *channel = Some(open);
                    let kind = Kind::ALL.into_iter().find(|known| known.label() == kind);
                    let kind = kind.unwrap_or(Kind::Unavailable);
                    return Err(Error::Token { operation, problem, kind });
                }
                Ok(answer) => {
                    *channel = Some(open);
                    return Ok(answer);
                }
                // It died since it was asked last: a new one is asked the same.
                Err(_) if tries > 0 => {}
                Err(error) => {
                    return Err(failed(
                        &format!("ask the key helper to {asked}"),
                        &error.to_string(),
                    ));
                }
            }
        }
    }
}

fn exchange(channel: &mut dyn Channel, request: &Request) -> io::Result<Answer> {
    request.write(channel)?;
    Answer::read(channel)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn failed(operation: &str, problem: &str) -> Error {
    Error::token(operation.to_owned(), problem)
}

fn unusable(asked: &str) -> Error {
    failed(&format!("ask the key helper to {asked}"), "its answer makes no sense")
}

/// A private key that a helper signs with. Clones are cheap.
#[derive(Clone)]
pub struct HelperKey {
    helper: Arc<KeyHelper>,
    uri: Arc<str>,
    public: Arc<PublicKey>,
    /// The public half in a `SubjectPublicKeyInfo`.
    spki: Arc<[u8]>,
    /// What that holds: the bare key.
    bits: Arc<[u8]>,
}

impl fmt::Debug for HelperKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl HelperKey {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half in a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The signature of the message.
    ///
    /// # Errors
    /// [`Error::Token`]: helper or token are gone, or cannot do this.
    pub fn sign_with(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.helper.sign(&self.uri, scheme, message)
    }

    /// The key of an image that the Director says is encrypted for this key's ECU.
    ///
    /// # Errors
    /// [`Error::Undecryptable`] when it is encrypted in a way that is not known here, or to another
    /// key; [`Error::Token`]: helper or token are gone, or cannot do this.
    pub fn image_key(&self, image: &EncryptedImage) -> Result<ImageKey, Error> {
        opened_image_key(&self.public, image, |wrapped| self.helper.open(&self.uri, wrapped))
    }
}

impl Sign for HelperKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        // That error has no room for a reason; `KeyHelper::key` tells it to whoever asks next.
        self.sign_with(RemoteKey::scheme(self), message)
            .map_err(|_| SigningFailed { key_id: self.public.key_id(Dialect::Tuf) })
    }
}

impl RemoteKey for HelperKey {
    fn scheme(&self) -> Scheme {
        Scheme::of_metadata(self.public.key_type())
    }

    fn sign_with(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        Self::sign_with(self, scheme, message)
    }
}

impl rustls::sign::SigningKey for HelperKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        remote::choose_scheme(self, offered)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki_der().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        remote::tls_algorithm(RemoteKey::scheme(self))
    }
}

impl rcgen::PublicKeyData for HelperKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match RemoteKey::scheme(self) {
            Scheme::Ed25519 => &rcgen::PKCS_ED25519,
            Scheme::EcdsaP256 | Scheme::EcdsaP256Hash => &rcgen::PKCS_ECDSA_P256_SHA256,
            Scheme::RsaPss | Scheme::RsaPkcs1 | Scheme::RsaPkcs1Hash => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for HelperKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let scheme = match RemoteKey::scheme(self) {
            Scheme::RsaPss => Scheme::RsaPkcs1,
            other => other,
        };
        self.sign_with(scheme, message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use updraft_error::{Classify as _, Kind};

    use super::{Channel, KeyHelper};
    use crate::helper::{Answer, Request};

    /// A helper that answers each request with `answer`, and dies after `requests` of them.
    fn helper(requests: usize, answer: Answer) -> (Arc<KeyHelper>, Arc<AtomicUsize>) {
        let started = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&started);
        let helper = KeyHelper::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let (ours, mut theirs) = UnixStream::pair()?;
            let answer = answer.clone();
            std::thread::spawn(move || {
                for _ in 0..requests {
                    if Request::read(&mut theirs).unwrap().is_none() {
                        return;
                    }
                    answer.write(&mut theirs).unwrap();
                }
            });
            Ok(Box::new(ours) as Box<dyn Channel>)
        });
        (helper, started)
    }

    #[test]
    fn a_helper_that_died_is_started_again() {
        let pem = Answer::Certificates { pem: "PEM".to_owned() };
        let (helper, started) = helper(1, pem);
        for expected in 1..4 {
            assert_eq!(helper.certificates_pem("pkcs11:").unwrap(), "PEM");
            assert_eq!(started.load(Ordering::SeqCst), expected);
        }
    }

    #[test]
    fn a_refusal_is_not_tried_again() {
        let (helper, started) = helper(
            9,
            Answer::Failed {
                operation: "open the token".to_owned(),
                problem: "wrong PIN".to_owned(),
                kind: "rejected".to_owned(),
            },
        );
        let error = helper.key("pkcs11:?pin-value=9876").unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("9876")), (Kind::Rejected, false));
        assert_eq!(started.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn one_that_only_dies_is_an_error() {
        let (helper, started) = helper(0, Answer::Certificates { pem: String::new() });
        assert_eq!(helper.certificates_pem("pkcs11:").unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(started.load(Ordering::SeqCst), 1);
    }
}
