//! What an ID token says, once it is known to be the provider's word to this server about this login
//! (OpenID Connect Core 1.0, section 3.1.3.7).

use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::refused;
use crate::config::OidcConfig;
use crate::error::Result;

/// The signatures that are taken: those of which the provider alone has the key.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How far the provider's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;
/// The longest value of a claim that is used.
const MAX_VALUE: usize = 1000;
/// The most groups that are looked at.
const MAX_GROUPS: usize = 1000;

/// What an ID token says.
pub(super) struct Claims {
    all: Map<String, Value>,
    subject: String,
}

impl Claims {
    /// Verifies a token.
    pub(super) fn verify(
        token: &str,
        keys: &JwkSet,
        config: &OidcConfig,
        (nonce, now): (&str, Timestamp),
    ) -> Result<Self> {
        let wrong = |reason: &str| refused(format!("its token {reason}"));
        let head = decode_header(token).map_err(|_| wrong("cannot be read"))?;
        if !ALGORITHMS.contains(&head.alg) {
            return Err(wrong("is signed in a way that is not taken"));
        }
        let mut validation = Validation::new(head.alg);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.client_id]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // By this server's clock, below.
        validation.validate_exp = false;
        let is_key = |key: &&Jwk| {
            let is_named = head.kid.is_none() || key.common.key_id == head.kid;
            is_named && !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
        };
        let mut found = Err(wrong("is signed by a key that the provider does not list"));
        for key in keys.keys.iter().filter(is_key) {
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            match decode::<Map<String, Value>>(token, &key, &validation) {
                Ok(decoded) => {
                    found = Ok(decoded.claims);
                    break;
                }
                Err(error) => found = Err(wrong(&format!("is not good: {error}"))),
            }
        }
        let all = found?;
        let seconds = |name: &str| all.get(name).and_then(Value::as_f64);
        #[allow(clippy::cast_precision_loss, reason = "of seconds until long after us")]
        let now = now.as_second() as f64;
        #[allow(clippy::cast_precision_loss, reason = "a minute")]
        let leeway = LEEWAY as f64;
        if seconds("exp").is_none_or(|end| end + leeway <= now) {
            return Err(wrong("has expired"));
        }
        if seconds("nbf").is_some_and(|begin| begin - leeway > now) {
            return Err(wrong("is not good yet"));
        }
        let sent = all.get("nonce").and_then(Value::as_str).unwrap_or_default();
        if !updraft_crypto::is_equal(sent.as_bytes(), nonce.as_bytes()) {
            return Err(wrong("belongs to another login"));
        }
        let has_many = all.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.len() > 1);
        let party = all.get("azp").and_then(Value::as_str);
        if party.map_or(has_many, |party| party != config.client_id) {
            return Err(wrong("is for another client"));
        }
        let subject = all.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        if subject.is_empty() || subject.len() > MAX_VALUE {
            return Err(wrong("does not say of whom it speaks"));
        }
        Ok(Self { all, subject })
    }

    /// Of whom it speaks.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.all.get(name)?.as_str()?;
        (!text.is_empty() && text.len() <= MAX_VALUE).then_some(text)
    }

    /// The texts of a claim that is one or a list.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        match self.all.get(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => {
                many.iter().take(MAX_GROUPS).filter_map(Value::as_str).collect()
            }
            _ => Vec::new(),
        }
    }
}
