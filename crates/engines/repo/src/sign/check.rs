//! Whether signatures of one type are good.

use updraft_ostree::Metadata;
use updraft_ostree::gvariant::Value;

use super::{Error, PublicKeys, SignType};

/// Signatures that are looked at beside one commit.
const MAX_SIGNATURES: usize = 256;
/// With more keys than these the text only counts them.
const NAMED_KEYS: usize = 3;
const ED25519_SIGNATURE: usize = 64;

/// A good signature, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success(pub String);

/// The byte arrays under `key`, when there are any.
pub(super) fn signatures<'a>(metadata: &'a Metadata, key: &str) -> Option<Vec<&'a [u8]>> {
    let items = metadata.get(key)?.as_array()?;
    items.iter().take(MAX_SIGNATURES).map(Value::as_bytes).collect()
}

/// Holds the signatures of the keys' type in `metadata` against `data`. One good one is enough.
pub fn verify_signatures(
    keys: &PublicKeys,
    data: &[u8],
    metadata: &Metadata,
) -> Result<Success, Error> {
    let kind = keys.kind;
    let found = signatures(metadata, kind.metadata_key()).ok_or(Error::NoneOfType(kind))?;
    let mut tried = Vec::new();
    for signature in &found {
        if kind == SignType::Ed25519 && signature.len() != ED25519_SIGNATURE {
            let (expected, actual) = (ED25519_SIGNATURE, signature.len());
            return Err(Error::SignatureLength { expected, actual });
        }
        for key in keys.usable() {
            if key.verify(data, signature) {
                return Ok(Success(match kind {
                    SignType::Dummy => "dummy: Signature verified".to_owned(),
                    _ => {
                        format!("{kind}: Signature verified successfully with key '{}'", key.hex())
                    }
                }));
            }
            tried.push(key.hex());
        }
    }
    if kind == SignType::Dummy {
        return Err(Error::IncorrectDummy(found.len()));
    }
    let problem = match tried.len() {
        0 => "no signatures found".to_owned(),
        count if count > NAMED_KEYS => {
            format!("Signature couldn't be verified; tried {count} keys")
        }
        _ => {
            let keys: Vec<String> = tried.iter().map(|key| format!("key '{key}'")).collect();
            format!("Signature couldn't be verified with: {}", keys.join("; "))
        }
    };
    Err(Error::NotVerified { kind, problem })
}
