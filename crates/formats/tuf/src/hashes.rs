//! Digests of files as metadata lists them: algorithm name → lower-case hex.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha512};

use crate::FormatError;
use crate::fields::string;

/// The hashes of one file, by algorithm. `sha256` and `sha512` can be verified; others are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// One SHA-256 digest, as lower-case hex.
    #[must_use]
    pub fn from_sha256(hex: &str) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), hex.to_ascii_lowercase())]))
    }

    /// One digest of the algorithm whose length it has: 64 hex digits are a SHA-256, 128 a SHA-512.
    #[must_use]
    pub fn from_digest(hex: &str) -> Self {
        let algorithm = if hex.len() == 128 { "sha512" } else { "sha256" };
        Self(BTreeMap::from([(algorithm.to_owned(), hex.to_ascii_lowercase())]))
    }

    /// These and a SHA-512 digest.
    #[must_use]
    pub fn and_sha512(mut self, hex: &str) -> Self {
        self.0.insert("sha512".to_owned(), hex.to_ascii_lowercase());
        self
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sha256(&sha256_hex(bytes))
    }

    pub(crate) fn from_map(members: Map<String, Value>) -> Result<Self, FormatError> {
        let mut hashes = BTreeMap::new();
        for (algorithm, value) in members {
            let mut text = string("hashes", value)?;
            let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let length = match algorithm.as_str() {
                "sha256" => 64,
                "sha512" => 128,
                _ => text.len(),
            };
            if !is_hex || text.len() != length {
                return Err(FormatError::field(
                    "hashes",
                    format!("has a malformed {algorithm} digest"),
                ));
            }
            text.make_ascii_lowercase();
            hashes.insert(algorithm, text);
        }
        if hashes.is_empty() {
            return Err(FormatError::field("hashes", "is empty"));
        }
        Ok(Self(hashes))
    }

    pub(crate) fn to_value(&self) -> Value {
        let members = self.0.iter().map(|(name, hex)| (name.clone(), Value::from(hex.as_str())));
        Value::Object(members.collect())
    }

    /// The digest of this algorithm, as lower-case hex.
    #[must_use]
    pub fn get(&self, algorithm: &str) -> Option<&str> {
        self.0.get(algorithm).map(String::as_str)
    }

    /// The SHA-256 digest, as 64 lower-case hex digits.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.get("sha256")
    }

    /// The digest that stands for the file: its SHA-256, or its SHA-512 where only that is listed.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.sha256().or_else(|| self.get("sha512"))
    }

    /// Algorithm names and digests, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, hex)| (name.as_str(), hex.as_str()))
    }

    /// Whether there is a digest that this crate can verify.
    #[must_use]
    pub fn is_verifiable(&self) -> bool {
        self.get("sha256").is_some() || self.get("sha512").is_some()
    }

    /// Whether `bytes` has every digest listed here, of which at least one must be known.
    #[must_use]
    pub fn verify(&self, bytes: &[u8]) -> bool {
        let sha256 = self.get("sha256").is_none_or(|hex| hex == sha256_hex(bytes));
        let sha512 = self.get("sha512").is_none_or(|hex| hex == hex::encode(Sha512::digest(bytes)));
        self.is_verifiable() && sha256 && sha512
    }

    /// Whether both list at least one digest of the same known algorithm, and no digests of the
    /// same algorithm differ.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let mut common = false;
        for (algorithm, hex) in &self.0 {
            match other.get(algorithm) {
                Some(theirs) if theirs == hex => {
                    common |= matches!(algorithm.as_str(), "sha256" | "sha512");
                }
                Some(_) => return false,
                None => {}
            }
        }
        common
    }
}

/// The SHA-256 digest of `bytes` as 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
