//! Keys as the OTA world keeps them in files and hands them out: JSON.
//!
//! ```text
//! NAME.pub   {"keytype": "ED25519", "keyval": {"public": TEXT}}
//! NAME.sec   {"keytype": "ED25519", "keyval": {"private": TEXT}}
//! pair       {"keytype": "ED25519", "keyval": {"public": TEXT, "private": TEXT}}
//! ```

use serde_json::{Value, json};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_tuf::{Dialect, KeyType, PublicKey};

use crate::Error;

/// The content of `NAME.pub`.
#[must_use]
pub fn public_key_json(key: &PublicKey) -> Value {
    key.to_json(Dialect::Uptane)
}

/// The content of `NAME.sec`. Show it to nobody.
///
/// # Errors
/// [`Error::Crypto`].
pub fn private_key_json(key: &SigningKey) -> Result<Value, Error> {
    let keytype = key.public().key_type().wire_name(Dialect::Uptane);
    Ok(json!({ "keytype": keytype, "keyval": { "private": key.to_private_text()? } }))
}

/// Both halves in one object. Show it to nobody.
///
/// # Errors
/// [`Error::Crypto`].
pub fn key_pair_json(key: &SigningKey) -> Result<Value, Error> {
    let mut pair = key.public().to_json(Dialect::Uptane);
    pair["keyval"]["private"] = key.to_private_text()?.into();
    Ok(pair)
}

/// Reads `NAME.sec`, or a pair.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Crypto`]; the key's text is never part of the message.
pub fn private_key_from_json(value: &Value) -> Result<SigningKey, Error> {
    let text = value.pointer("/keyval/private").and_then(Value::as_str);
    let text = text.ok_or_else(|| Error::Invalid("read a private key: no `private`".to_owned()))?;
    let key = SigningKey::from_private_text(text)?;
    let named = value.get("keytype").and_then(Value::as_str).unwrap_or_default();
    if named.eq_ignore_ascii_case(key.public().key_type().wire_name(Dialect::Uptane)) {
        return Ok(key);
    }
    Err(Error::Invalid("read a private key: it is not of the type that it names".to_owned()))
}

/// The algorithm that the OTA world means by the name of a type of keys: RSA has 2048 bits.
#[must_use]
pub fn algorithm_of_key_type(name: &str) -> Option<KeyAlgorithm> {
    match name.to_ascii_lowercase().as_str() {
        "rsa" => Some(KeyAlgorithm::Rsa2048),
        other => other.parse().ok(),
    }
}

/// The algorithm for a new key of the same type as this one.
#[must_use]
pub fn algorithm_like(key: &PublicKey) -> KeyAlgorithm {
    match key.key_type() {
        KeyType::Ed25519 => KeyAlgorithm::Ed25519,
        KeyType::EcdsaP256 => KeyAlgorithm::EcdsaP256,
        KeyType::Rsa => KeyAlgorithm::Rsa2048,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_read_back_and_lies_about_the_type_are_refused() {
        let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let private = private_key_json(&key).unwrap();
        assert_eq!(private["keytype"], "ED25519");
        let again = private_key_from_json(&private).unwrap();
        assert_eq!(again.public(), key.public());
        let pair = key_pair_json(&key).unwrap();
        assert_eq!(PublicKey::from_json(&pair).unwrap().as_ref(), Some(key.public()));
        assert_eq!(private_key_from_json(&pair).unwrap().public(), key.public());
        let mut lie = private;
        lie["keytype"] = "RSA".into();
        assert!(private_key_from_json(&lie).is_err());
        assert!(private_key_from_json(&public_key_json(key.public())).is_err());
    }
}
