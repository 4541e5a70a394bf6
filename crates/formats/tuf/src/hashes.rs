//! Digests of files as metadata lists them: algorithm name → lower-case hex.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use crate::FormatError;
use crate::fields::string;
use crate::json::Members;

/// The hashes of one file, by algorithm. `sha256` and `sha512` can be verified; others are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hashes {
    // Nearly all files have this one only, so that most lists need no table.
    sha256: Option<String>,
    others: BTreeMap<String, String>,
}

const SHA256: &str = "sha256";
const SHA512: &str = "sha512";

impl Hashes {
    /// One SHA-256 digest, as lower-case hex.
    #[must_use]
    pub fn from_sha256(hex: &str) -> Self {
        Self { sha256: Some(hex.to_ascii_lowercase()), ..Self::default() }
    }

    /// One digest of the algorithm whose length it has: 64 hex digits are a SHA-256, 128 a SHA-512.
    #[must_use]
    pub fn from_digest(hex: &str) -> Self {
        if hex.len() == 128 { Self::default().and_sha512(hex) } else { Self::from_sha256(hex) }
    }

    /// These and a SHA-512 digest.
    #[must_use]
    pub fn and_sha512(mut self, hex: &str) -> Self {
        self.others.insert(SHA512.to_owned(), hex.to_ascii_lowercase());
        self
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sha256(&sha256_hex(bytes))
    }

    pub(crate) fn from_members(members: Members<'_>) -> Result<Self, FormatError> {
        if members.is_empty() {
            return Err(FormatError::field("hashes", "is empty"));
        }
        let mut hashes = Self::default();
        for (algorithm, value) in members {
            let text = string("hashes", value)?;
            let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let length = match algorithm.as_ref() {
                SHA256 => 64,
                SHA512 => 128,
                _ => text.len(),
            };
            if !is_hex || text.len() != length {
                return Err(FormatError::field(
                    "hashes",
                    format!("has a malformed {algorithm} digest"),
                ));
            }
            let mut text = text.into_owned();
            text.make_ascii_lowercase();
            match algorithm.as_ref() {
                SHA256 => hashes.sha256 = Some(text),
                _ => {
                    hashes.others.insert(algorithm.into_owned(), text);
                }
            }
        }
        Ok(hashes)
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::Object(self.iter().map(|(name, hex)| (name.to_owned(), hex.into())).collect())
    }

    /// The digest of this algorithm, as lower-case hex.
    #[must_use]
    pub fn get(&self, algorithm: &str) -> Option<&str> {
        match algorithm {
            SHA256 => self.sha256.as_deref(),
            other => self.others.get(other).map(String::as_str),
        }
    }

    /// The SHA-256 digest, as 64 lower-case hex digits.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.get(SHA256)
    }

    /// The digest that stands for the file: its SHA-256, or its SHA-512 where only that is listed.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.sha256().or_else(|| self.get("sha512"))
    }

    /// Algorithm names and digests, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let others = |from, to| {
            let range = self.others.range::<str, _>((from, to));
            range.map(|(name, hex)| (name.as_str(), hex.as_str()))
        };
        others(Unbounded, Excluded(SHA256))
            .chain(self.sha256().map(|hex| (SHA256, hex)))
            .chain(others(Excluded(SHA256), Unbounded))
    }

    /// Whether there is a digest that this crate can verify.
    #[must_use]
    pub fn is_verifiable(&self) -> bool {
        self.get(SHA256).is_some() || self.get(SHA512).is_some()
    }

    /// Whether `bytes` has every digest listed here, of which at least one must be known.
    #[must_use]
    pub fn verify(&self, bytes: &[u8]) -> bool {
        let sha256 = self.get(SHA256).is_none_or(|hex| hex == sha256_hex(bytes));
        let sha512 = self.get(SHA512).is_none_or(|hex| hex == hex::encode(Sha512::digest(bytes)));
        self.is_verifiable() && sha256 && sha512
    }

    /// Whether both list at least one digest of the same known algorithm, and no digests of the
    /// same algorithm differ.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let mut common = false;
        for (algorithm, hex) in self.iter() {
            match other.get(algorithm) {
                Some(theirs) if theirs == hex => {
                    common |= matches!(algorithm, SHA256 | SHA512);
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

#[cfg(test)]
mod tests {
    use super::Hashes;
    use crate::fields::Fields;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Option<Hashes> {
        Hashes::from_members(Fields::of("x", json!({ "h": value })).unwrap().object("h").unwrap())
            .ok()
    }

    #[test]
    fn all_algorithms_are_kept_in_order() {
        let names = ["a", "sha256", "sha3", "sha512", "z"];
        let digest = |name: &str| if name == "sha512" { "AB".repeat(64) } else { "AB".repeat(32) };
        let backwards = names.iter().rev().map(|name| ((*name).to_owned(), digest(name).into()));
        let hashes = read(&Value::Object(backwards.collect())).unwrap();
        let listed: Vec<(&str, String)> = hashes.iter().map(|(n, d)| (n, d.to_owned())).collect();
        let expect = names.map(|name| (name, digest(name).to_ascii_lowercase()));
        assert_eq!(listed, expect);
        for (name, digest) in expect {
            assert_eq!(hashes.get(name), Some(digest.as_str()));
        }
        assert_eq!(read(&hashes.to_value()), Some(hashes));
    }

    #[test]
    fn none_and_malformed_ones_are_refused() {
        for bad in [json!({}), json!({"sha256": "00"}), json!({"x": ""}), json!({"x": "g0"})] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
