//! The outer form of every role file and manifest: `{"signatures":[…],"signed":{…}}`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fields::Fields;
use crate::json::{Document, Json};
use crate::{Dialect, FormatError, KeyId, KeyType, PublicKey, canonical, json as strict_json};

/// Most signatures that one file may carry.
const MAX_SIGNATURES: usize = 256;

/// Makes signatures. Implemented by keys in memory, and by tokens that keep keys to themselves.
pub trait Sign {
    /// The public half of the key.
    fn public_key(&self) -> &PublicKey;

    /// The raw signature over `message`: 64 bytes for Ed25519, DER for ECDSA, the big-endian
    /// integer for RSA.
    ///
    /// # Errors
    /// [`SigningFailed`] when the key's holder cannot sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// A key could not be used for signing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sign with key {key_id}")]
pub struct SigningFailed {
    /// The key.
    pub key_id: KeyId,
}

/// One signature of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The id of the key, as the file has it.
    pub key_id: KeyId,
    /// The `method` of Uptane's form.
    pub method: Option<String>,
    /// The raw signature; empty when its text cannot be decoded, so that it never verifies.
    pub bytes: Vec<u8>,
}

/// A payload and its signatures.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The signatures, in the file's order; no key id occurs twice.
    pub signatures: Vec<Signature>,
    /// The payload, unknown fields included.
    pub signed: Value,
}

impl Envelope {
    /// Reads an envelope of up to `max_length` bytes.
    ///
    /// # Errors
    /// [`FormatError`] for anything but strict JSON of the right shape; a key id that occurs
    /// twice is [`FormatError::Field`] of `signatures`.
    pub fn parse(dialect: Dialect, bytes: &[u8], max_length: usize) -> Result<Self, FormatError> {
        Self::from_value(dialect, strict_json::parse(bytes, max_length)?)
    }

    /// Reads an envelope from a JSON value.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn from_value(dialect: Dialect, value: Value) -> Result<Self, FormatError> {
        Self::from_json(dialect, value.into())
    }

    /// [`Envelope::from_value`] for what the reader made.
    pub(crate) fn from_json(dialect: Dialect, value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("file", value)?;
        let signatures = Signature::read_all(dialect, &mut fields)?;
        let signed = fields.take("signed")?.into_value();
        Ok(Self { signatures, signed })
    }

    /// The bytes that signatures cover.
    ///
    /// # Errors
    /// [`FormatError::NotCanonical`].
    pub fn signed_bytes(&self, dialect: Dialect) -> Result<Vec<u8>, FormatError> {
        canonical::encode(dialect, &self.signed)
    }

    /// Signs `signed` with each of `keys`.
    ///
    /// # Errors
    /// [`SigningFailed`]; a payload without canonical form makes every key fail.
    pub fn sign(
        dialect: Dialect,
        signed: Value,
        keys: &[&dyn Sign],
    ) -> Result<Self, SigningFailed> {
        let mut envelope = Self { signatures: Vec::new(), signed };
        for key in keys {
            envelope.add_signature(dialect, *key)?;
        }
        Ok(envelope)
    }

    /// Adds a signature by `key`, in place of an earlier one by the same key id.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn add_signature(&mut self, dialect: Dialect, key: &dyn Sign) -> Result<(), SigningFailed> {
        let public = key.public_key();
        let key_id = public.key_id(dialect);
        let message =
            self.signed_bytes(dialect).map_err(|_| SigningFailed { key_id: key_id.clone() })?;
        let method = (dialect == Dialect::Uptane).then(|| public.key_type().method().to_owned());
        let signature = Signature { bytes: key.sign(&message)?, method, key_id };
        self.signatures.retain(|other| other.key_id != signature.key_id);
        self.signatures.push(signature);
        Ok(())
    }

    /// The file as a JSON value.
    #[must_use]
    pub fn to_value(&self, dialect: Dialect) -> Value {
        let signatures: Vec<Value> =
            self.signatures.iter().map(|signature| signature.to_value(dialect)).collect();
        json!({ "signatures": signatures, "signed": self.signed })
    }

    /// The file.
    ///
    /// Both dialects are written in the Uptane dialect's canonical form: for Uptane's readers the
    /// raw and the canonical hash of a file must be the same, and OLPC's form, which leaves
    /// control characters as they are, is not JSON once a PEM key is in it.
    ///
    /// # Errors
    /// [`FormatError::NotCanonical`].
    pub fn to_bytes(&self, dialect: Dialect) -> Result<Vec<u8>, FormatError> {
        canonical::encode(Dialect::Uptane, &self.to_value(dialect))
    }
}

/// An [`Envelope`] that was read to be verified, not to be kept.
pub(crate) struct Opened<'a> {
    pub(crate) signatures: Vec<Signature>,
    /// The payload.
    pub(crate) signed: Json<'a>,
    /// The bytes that signatures cover: where they came in that form, those of the file.
    pub(crate) message: Cow<'a, [u8]>,
}

impl<'a> Opened<'a> {
    /// Reads a file of up to `max_length` bytes.
    pub(crate) fn parse(
        dialect: Dialect,
        bytes: &'a [u8],
        max_length: usize,
    ) -> Result<Self, FormatError> {
        let document = Document::parse(bytes, max_length)?;
        let canonical = document.canonical_member("signed");
        let mut fields = Fields::of("file", document.value)?;
        let signatures = Signature::read_all(dialect, &mut fields)?;
        let signed = fields.take("signed")?;
        let message = match canonical {
            Some(text) => Cow::Borrowed(text.as_bytes()),
            None => Cow::Owned(canonical::encode_json(dialect, &signed)?),
        };
        Ok(Self { signatures, signed, message })
    }
}

impl Signature {
    fn read_all(dialect: Dialect, fields: &mut Fields<'_>) -> Result<Vec<Self>, FormatError> {
        let entries = fields.array("signatures")?;
        if entries.len() > MAX_SIGNATURES {
            return Err(FormatError::field("signatures", "has more than 256 entries"));
        }
        let mut signatures = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in entries {
            let signature = Self::from_json(dialect, entry)?;
            if !seen.insert(signature.key_id.clone()) {
                return Err(FormatError::field(
                    "signatures",
                    format!("has key id {} twice", signature.key_id),
                ));
            }
            signatures.push(signature);
        }
        Ok(signatures)
    }

    fn from_json(dialect: Dialect, value: Json<'_>) -> Result<Self, FormatError> {
        let mut fields = Fields::of("signatures", value)?;
        let key_id = fields.string("keyid")?.parse()?;
        let method = fields.optional_string("method")?;
        let text = fields.string("sig")?;
        let bytes = match dialect {
            Dialect::Tuf => hex::decode(&text).unwrap_or_default(),
            Dialect::Uptane => STANDARD.decode(&text).unwrap_or_default(),
        };
        Ok(Self { key_id, method, bytes })
    }

    fn to_value(&self, dialect: Dialect) -> Value {
        let key_id = self.key_id.as_str();
        match dialect {
            Dialect::Tuf => json!({ "keyid": key_id, "sig": hex::encode(&self.bytes) }),
            Dialect::Uptane => json!({
                "keyid": key_id,
                "method": self.method.as_deref().unwrap_or_default(),
                "sig": STANDARD.encode(&self.bytes),
            }),
        }
    }

    /// Whether this signature may come from a key of this type: Uptane's form demands a method
    /// that says so.
    pub(crate) fn fits(&self, dialect: Dialect, key_type: KeyType) -> bool {
        match (dialect, &self.method) {
            (Dialect::Tuf, _) => true,
            (Dialect::Uptane, Some(method)) => KeyType::of_method(method) == Some(key_type),
            (Dialect::Uptane, None) => false,
        }
    }
}
