//! Public keys and key ids, in the wire forms of both dialects.
//!
//! ```text
//! TUF     {"keytype":"ed25519","scheme":"ed25519","keyval":{"public":HEX}}
//!         {"keytype":"ecdsa","scheme":"ecdsa-sha2-nistp256","keyval":{"public":PEM}}
//!         {"keytype":"rsa","scheme":"rsassa-pss-sha256","keyval":{"public":PEM}}
//! Uptane  {"keytype":"ED25519","keyval":{"public":HEX}}
//!         {"keytype":"RSA","keyval":{"public":PEM}}
//!         {"keytype":"ECPRIME256V1","keyval":{"public":PEM}}   (not known to aktualizr)
//! ```

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::fields::Fields;
use crate::{Dialect, FormatError, canonical, pem_decode, pem_encode, sha256_hex, spki};

/// Longest key id that is accepted, in bytes. SHA-512 in hex has 128.
const MAX_KEY_ID: usize = 256;
/// Longest SubjectPublicKeyInfo that is accepted, in bytes. RSA with 8192 bits has about 1,060.
const MAX_KEY_BYTES: usize = 2048;
const PEM_LABEL: &str = "PUBLIC KEY";

/// Names a key within one file. Opaque when read; computed by [`PublicKey::key_id`] when written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let fits = !text.is_empty()
            && text.len() <= MAX_KEY_ID
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(FormatError::field("keyid", "is not 1 to 256 printable ASCII characters"))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A signature algorithm together with its one scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    /// Ed25519 (RFC 8032); public keys are the 32 raw bytes.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signatures in DER; public keys are SubjectPublicKeyInfo DER.
    EcdsaP256,
    /// RSASSA-PSS with SHA-256, MGF1-SHA256 and a salt of 32 bytes; public keys are
    /// SubjectPublicKeyInfo DER.
    Rsa,
}

impl KeyType {
    /// The `keytype` of this dialect.
    #[must_use]
    pub fn wire_name(self, dialect: Dialect) -> &'static str {
        match (dialect, self) {
            (Dialect::Tuf, Self::Ed25519) => "ed25519",
            (Dialect::Tuf, Self::EcdsaP256) => "ecdsa",
            (Dialect::Tuf, Self::Rsa) => "rsa",
            (Dialect::Uptane, Self::Ed25519) => "ED25519",
            (Dialect::Uptane, Self::EcdsaP256) => "ECPRIME256V1",
            (Dialect::Uptane, Self::Rsa) => "RSA",
        }
    }

    /// The TUF `scheme`, which is also the `method` of a signature in Uptane's form except that
    /// RSA is called `rsassa-pss` there.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::Rsa => "rsassa-pss-sha256",
        }
    }

    /// The `method` of a signature in Uptane's form.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Rsa => "rsassa-pss",
            other => other.scheme(),
        }
    }

    /// The type of which `method` speaks, in any case.
    pub(crate) fn of_method(method: &str) -> Option<Self> {
        match method.to_ascii_lowercase().as_str() {
            "ed25519" => Some(Self::Ed25519),
            "ecdsa-sha2-nistp256" | "ecprime256v1" => Some(Self::EcdsaP256),
            "rsassa-pss" | "rsassa-pss-sha256" => Some(Self::Rsa),
            _ => None,
        }
    }

    fn of_wire_name(name: &str, scheme: Option<&str>) -> Option<Self> {
        let key_type = match name.to_ascii_lowercase().as_str() {
            "ed25519" => Self::Ed25519,
            "ecdsa" | "ecdsa-sha2-nistp256" | "ecprime256v1" => Self::EcdsaP256,
            "rsa" => Self::Rsa,
            _ => return None,
        };
        scheme.is_none_or(|scheme| Self::of_method(scheme) == Some(key_type)).then_some(key_type)
    }
}

/// A public key whose algorithm this crate knows.
///
/// Equal keys are equal values, whatever id or text form they came with; thresholds count these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey {
    key_type: KeyType,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// A key of this type. `bytes`: 32 raw bytes for Ed25519, else SubjectPublicKeyInfo DER.
    ///
    /// # Errors
    /// [`FormatError::Key`] unless `bytes` is the one encoding that a key of this type has.
    pub fn new(key_type: KeyType, bytes: Vec<u8>) -> Result<Self, FormatError> {
        let fits = match key_type {
            KeyType::Ed25519 => bytes.len() == 32,
            KeyType::EcdsaP256 => spki::is_p256(&bytes),
            KeyType::Rsa => bytes.len() <= MAX_KEY_BYTES && spki::is_rsa(&bytes),
        };
        if fits {
            Ok(Self { key_type, bytes })
        } else {
            Err(FormatError::Key { problem: "its length or type is wrong" })
        }
    }

    /// The algorithm.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// 32 raw bytes for Ed25519, else SubjectPublicKeyInfo DER.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text in `keyval.public`: hex for Ed25519, PEM without a final newline for others.
    #[must_use]
    pub fn public_text(&self) -> String {
        match self.key_type {
            KeyType::Ed25519 => hex::encode(&self.bytes),
            KeyType::EcdsaP256 | KeyType::Rsa => {
                pem_encode(PEM_LABEL, &self.bytes).trim_end().to_owned()
            }
        }
    }

    /// The key object of this dialect.
    #[must_use]
    pub fn to_json(&self, dialect: Dialect) -> Value {
        let keyval = json!({ "public": self.public_text() });
        let keytype = self.key_type.wire_name(dialect);
        match dialect {
            Dialect::Tuf => {
                json!({ "keytype": keytype, "keyval": keyval, "scheme": self.key_type.scheme() })
            }
            Dialect::Uptane => json!({ "keytype": keytype, "keyval": keyval }),
        }
    }

    /// The key id that the writers of this dialect compute.
    ///
    /// TUF: SHA-256 of the canonical key object. Uptane: SHA-256 of the canonical JSON string of
    /// the public value without its final newline, as aktualizr does.
    #[must_use]
    pub fn key_id(&self, dialect: Dialect) -> KeyId {
        let hashed = match dialect {
            Dialect::Tuf => self.to_json(dialect),
            Dialect::Uptane => Value::String(self.public_text()),
        };
        // Strings always have a canonical form.
        let bytes = canonical::encode(dialect, &hashed).unwrap_or_default();
        KeyId(sha256_hex(&bytes))
    }

    /// Reads a key object of either dialect. `None`: an algorithm that this crate does not know.
    ///
    /// # Errors
    /// [`FormatError`] when the object is malformed.
    pub fn from_json(value: &Value) -> Result<Option<Self>, FormatError> {
        let mut fields = Fields::of("key", value)?;
        let name = fields.string("keytype")?;
        let scheme = fields.optional_string("scheme")?;
        // Keys of other kinds, such as sigstore's identities, have no public text.
        let Some(key_type) = KeyType::of_wire_name(&name, scheme.as_deref()) else {
            return Ok(None);
        };
        let mut keyval = Fields::of("keyval", fields.take("keyval")?)?;
        let public = keyval.string("public")?;
        let bytes = if public.contains("-----BEGIN") {
            pem_decode(PEM_LABEL, &public)?
        } else {
            hex::decode(public.trim())
                .map_err(|_| FormatError::Key { problem: "it is neither hex nor PEM" })?
        };
        // Older repositories of the sigstore project list the bare point.
        let bytes = match key_type {
            KeyType::EcdsaP256 => spki::p256_of_point(&bytes).unwrap_or(bytes),
            _ => bytes,
        };
        Self::new(key_type, bytes).map(Some)
    }
}

/// A key as a file lists it: its exact JSON, and what this crate can do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    json: Value,
    public: Option<PublicKey>,
}

impl Key {
    /// This key in the form of `dialect`.
    #[must_use]
    pub fn new(dialect: Dialect, public: PublicKey) -> Self {
        Self { json: public.to_json(dialect), public: Some(public) }
    }

    /// A key as it was read. A key of an unknown algorithm, or whose text cannot be decoded, is
    /// kept but never verifies: one such key must not stop the others of a root.
    pub(crate) fn from_json(json: Value) -> Result<Self, FormatError> {
        let public = match PublicKey::from_json(&json) {
            Err(FormatError::Key { .. }) => None,
            read => read?,
        };
        Ok(Self { json, public })
    }

    /// The usable key, or `None` for an unknown algorithm.
    #[must_use]
    pub fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// The key object, exactly as it was read or made.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyType, PublicKey};
    use crate::{Dialect, sha256_hex, spki};
    use serde_json::json;

    #[test]
    fn key_ids_of_both_worlds() {
        let key = PublicKey::new(KeyType::Ed25519, vec![7; 32]).unwrap();
        let hex = "07".repeat(32);
        let object =
            format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{hex}"}},"scheme":"ed25519"}}"#);
        assert_eq!(key.key_id(Dialect::Tuf).as_str(), sha256_hex(object.as_bytes()));
        let string = format!("\"{hex}\"");
        assert_eq!(key.key_id(Dialect::Uptane).as_str(), sha256_hex(string.as_bytes()));
    }

    #[test]
    fn the_id_of_a_pem_key_is_over_its_escaped_text() {
        let key = PublicKey::new(KeyType::EcdsaP256, spki::example_p256()).unwrap();
        let string = format!("\"{}\"", key.public_text().replace('\n', "\\n"));
        assert_eq!(key.key_id(Dialect::Uptane).as_str(), sha256_hex(string.as_bytes()));
    }

    #[test]
    fn both_wire_forms_read_back_as_the_same_key() {
        let ed25519 = PublicKey::new(KeyType::Ed25519, vec![9; 32]).unwrap();
        let rsa = PublicKey::new(KeyType::Rsa, spki::example_rsa()).unwrap();
        for key in [ed25519, rsa] {
            for dialect in [Dialect::Tuf, Dialect::Uptane] {
                let json = key.to_json(dialect);
                assert_eq!(PublicKey::from_json(&json).unwrap().as_ref(), Some(&key));
            }
        }
    }

    #[test]
    fn a_bare_point_is_the_same_key_and_an_undecodable_one_is_none() {
        let der = spki::example_p256();
        let point = hex::encode(&der[der.len() - 65..]);
        let old = json!({ "keytype": "ecdsa-sha2-nistp256", "keyval": { "public": point } });
        let key = PublicKey::new(KeyType::EcdsaP256, der).unwrap();
        assert_eq!(PublicKey::from_json(&old).unwrap(), Some(key));
        let broken = json!({ "keytype": "ecdsa", "keyval": { "public": "0411" } });
        assert!(PublicKey::from_json(&broken).is_err());
        assert_eq!(Key::from_json(broken).unwrap().public(), None);
        assert!(Key::from_json(json!({ "keytype": "ecdsa" })).is_err());
    }

    #[test]
    fn unknown_algorithms_are_unusable_and_malformed_keys_refused() {
        let unknown = json!({"keytype": "ml-dsa", "scheme": "x", "keyval": {"public": "00"}});
        assert_eq!(PublicKey::from_json(&unknown).unwrap(), None);
        let scheme = json!({"keytype": "rsa", "scheme": "rsa-pkcs1", "keyval": {"public": "00"}});
        assert_eq!(PublicKey::from_json(&scheme).unwrap(), None);
        let keyval = json!({"identity": "a@example.com", "issuer": "https://example.com"});
        let identity = json!({"keytype": "sigstore-oidc", "scheme": "Fulcio", "keyval": keyval});
        assert_eq!(PublicKey::from_json(&identity).unwrap(), None);
        for bad in [
            json!({"keytype": "ed25519", "keyval": {"public": "0011"}}),
            json!({"keytype": "ed25519", "keyval": {"public": "zz"}}),
            json!({"keytype": "ed25519", "keyval": {}}),
            json!({"keytype": "ed25519"}),
            json!([]),
        ] {
            assert!(PublicKey::from_json(&bad).is_err(), "{bad}");
        }
    }
}
