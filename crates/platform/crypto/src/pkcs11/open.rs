//! Opening the key of an encrypted image with a key that stays in its token.
//!
//! RSA: the token does the bare operation, and the padding is taken off here; or, where it does not
//! do that, OAEP.
//! P-256: the token agrees on a secret (ECDH), and the rest of HPKE is done here. An Edwards key can
//! do neither.

use std::sync::PoisonError;

use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType as TokenKeyType, ObjectClass};
use cryptoki::session::Session;
use updraft_error::Kind;
use updraft_tuf::{EncryptedImage, KeyType};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::encode;
use super::key::TokenKey;
use super::module::failed_at;
use crate::image_key::{P256_POINT, halves, opened_image_key};
use crate::{Error, ImageKey};

type Opened = Option<Zeroizing<Vec<u8>>>;

impl TokenKey {
    /// The key of an image that the Director says is encrypted for this key's ECU.
    ///
    /// # Errors
    /// [`Error::Undecryptable`] when it is encrypted in a way that is not known here, or to another
    /// key; [`Error::Token`]: the token is gone, or the key cannot or may not do this.
    pub fn image_key(&self, image: &EncryptedImage) -> Result<ImageKey, Error> {
        opened_image_key(self.public(), image, |wrapped| self.open_wrapped(wrapped))
    }

    /// What was wrapped for this key; `None` when it was wrapped for another one, or changed.
    pub(crate) fn open_wrapped(&self, wrapped: &[u8]) -> Result<Opened, Error> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match self.public().key_type() {
            KeyType::Rsa => self.open_oaep(&session, wrapped),
            KeyType::EcdsaP256 => self.open_hpke(&session, wrapped),
            KeyType::Ed25519 => {
                let problem = "an Ed25519 key in a token only signs".to_owned();
                return Err(Error::Token { operation: self.operation(), problem, kind: UNABLE });
            }
        };
        opened.map_err(|error| self.told(error))
    }

    fn open_oaep(&self, session: &Session, wrapped: &[u8]) -> Result<Opened, TokenError> {
        if !is_below_modulus(self.spki_der(), wrapped) {
            return Ok(None);
        }
        // First the operation that cannot fail whatever is in the ciphertext: some TPMs take a padding
        // that is wrong for a failure of their own, and do nothing more until they are reset.
        if let Ok(raw) = session.decrypt(&Mechanism::RsaX509, self.key, wrapped) {
            let mut raw = Zeroizing::new(raw);
            // Some tokens leave out the zeros that it begins with.
            let missing = wrapped.len().saturating_sub(raw.len());
            raw.splice(0..0, std::iter::repeat_n(0, missing));
            return Ok(halves::unpad_oaep(&raw));
        }
        match self.decrypt_oaep(session, wrapped) {
            Ok(plain) => Ok(Some(plain)),
            Err(error) if is_undecryptable(&error) => Ok(None),
            // What the token calls a failure is one only if it fails with a key of ours, too.
            Err(error) if is_vague(&error) && self.opens_own(session) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn decrypt_oaep(
        &self,
        session: &Session,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let (hash, mask) = (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256);
        let oaep = PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty());
        session.decrypt(&Mechanism::RsaPkcsOaep(oaep), self.key, wrapped).map(Zeroizing::new)
    }

    /// Whether the token opens what is wrapped for this key at this moment.
    fn opens_own(&self, session: &Session) -> bool {
        let Ok(probe) = ImageKey::generate() else { return false };
        let Ok(wrapped) = probe.wrap(self.public()) else { return false };
        let opened = self.decrypt_oaep(session, &wrapped);
        opened.is_ok_and(|plain| **plain == *probe.bytes())
    }

    fn open_hpke(&self, session: &Session, wrapped: &[u8]) -> Result<Opened, TokenError> {
        let Some(own) = self.public().as_bytes().last_chunk::<P256_POINT>() else {
            return Ok(None);
        };
        let Some((enc, _)) = wrapped.split_at_checked(P256_POINT) else { return Ok(None) };
        let agreed = self.agree(session, enc).or_else(|error| {
            if !is_unknown_mechanism(&error) {
                return Err(error);
            }
            // The standard wants the bare point to be understood; not all tokens do.
            self.agree(session, &encode::octet_string(enc))
        });
        match agreed {
            Ok(agreed) => Ok(halves::open_hpke_p256(own, wrapped, &agreed)),
            Err(error) if is_undecryptable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn agree(&self, session: &Session, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let params = Ecdh1DeriveParams::new(EcKdf::null(), point);
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(TokenKeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::ValueLen(32.into()),
        ];
        let secret = session.derive_key(&Mechanism::Ecdh1Derive(params), self.key, &template)?;
        let value = session.get_attributes(secret, &[AttributeType::Value]);
        // It would end with the session anyway.
        let _ = session.destroy_object(secret);
        let mut agreed = Zeroizing::new(Vec::new());
        for attribute in value? {
            if let Attribute::Value(bytes) = attribute {
                agreed = Zeroizing::new(bytes);
            }
        }
        Ok(agreed)
    }

    fn operation(&self) -> String {
        format!("open an image's key with {}", self.uri)
    }

    fn told(&self, error: TokenError) -> Error {
        let operation = self.operation();
        let problem = match &error {
            TokenError::Pkcs11(RvError::KeyFunctionNotPermitted, _) => {
                "the key may only sign there: it was made without CKA_DECRYPT or CKA_DERIVE"
            }
            error if is_unknown_mechanism(error) => {
                "the token has no mechanism for it (RSA-OAEP, RSA without padding, or ECDH)"
            }
            _ => return failed_at(operation)(error),
        };
        Error::Token { operation, problem: problem.to_owned(), kind: UNABLE }
    }
}

/// Whether this is a ciphertext of the key by its size: tokens call anything else a failure of theirs.
fn is_below_modulus(spki: &[u8], wrapped: &[u8]) -> bool {
    let Ok((_, info)) = SubjectPublicKeyInfo::from_der(spki) else { return false };
    let Ok(ParsedKey::RSA(key)) = info.parsed() else { return false };
    let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = key.modulus.get(zeros..).unwrap_or_default();
    modulus.len() == wrapped.len() && wrapped < modulus
}

const UNABLE: Kind = Kind::Unsupported;

/// What tokens say of a ciphertext that is none of theirs.
fn is_undecryptable(error: &TokenError) -> bool {
    let TokenError::Pkcs11(said, _) = error else { return false };
    matches!(
        said,
        RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::WrappedKeyInvalid
    )
}

/// Whether the answer may mean a ciphertext that is none of theirs, or that something is broken.
fn is_vague(error: &TokenError) -> bool {
    matches!(error, TokenError::Pkcs11(RvError::GeneralError | RvError::FunctionFailed, _))
}

/// What they say of a mechanism, or of parameters of it, that they do not know.
fn is_unknown_mechanism(error: &TokenError) -> bool {
    let TokenError::Pkcs11(said, _) = error else { return false };
    matches!(
        said,
        RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::ArgumentsBad
            | RvError::FunctionNotSupported
    )
}
