//! A secondary's signed report, checked before anybody else sees it: the server refuses a vehicle's
//! manifest as a whole when one report in it is wrong.

use serde_json::Value;
use updraft_crypto::Verifier;
use updraft_error::Kind;
use updraft_tuf::{Dialect, Envelope, PublicKey, VerifySignature as _};

use crate::store::SecondaryRecord;
use crate::{Error, Result};

/// The largest report, in bytes.
const MAX_REPORT: usize = 1 << 20;

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) filepath: String,
    /// The SHA-256 as 64 lower-case hexadecimal digits, or the SHA-512 of a report without one.
    pub(super) digest: String,
    /// The SHA-512 as 128 digits, where it says it.
    pub(super) sha512: Option<String>,
    pub(super) length: u64,
    pub(super) counter: Option<u64>,
}

/// Reads the report of this secondary, which it must have signed.
pub(super) fn verified(bytes: &[u8], record: &SecondaryRecord) -> Result<Read> {
    let serial = &record.serial;
    let refuse = |kind, problem: &str| Error::Secondary {
        serial: serial.clone(),
        problem: problem.to_owned(),
        kind,
    };
    let envelope = Envelope::parse(Dialect::Uptane, bytes, MAX_REPORT)
        .map_err(|error| refuse(Kind::Invalid, &error.to_string()))?;
    let key = serde_json::from_str(&record.key).ok();
    let key = key.and_then(|json: Value| PublicKey::from_json(&json).ok().flatten());
    let key = key.ok_or(Error::Damaged { what: "a secondary's key" })?;
    let message = envelope
        .signed_bytes(Dialect::Uptane)
        .map_err(|error| refuse(Kind::Invalid, &error.to_string()))?;
    let is_signed = envelope.signatures.iter().any(|signature| {
        signature.method.is_some() && Verifier.verify(&key, &message, &signature.bytes)
    });
    if !is_signed {
        return Err(refuse(Kind::Rejected, "its report is not signed with its key"));
    }
    let text = |pointer: &str| envelope.signed.pointer(pointer).and_then(Value::as_str);
    if text("/ecu_serial") != Some(serial) {
        return Err(refuse(Kind::Rejected, "its report is about another ECU"));
    }
    let hash = |algorithm: &str, digits: usize| {
        let hash = text(&format!("/installed_image/fileinfo/hashes/{algorithm}"));
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = hash.filter(|text| text.len() == digits && is_hex(text));
        hash.map(str::to_ascii_lowercase)
    };
    let sha512 = hash("sha512", 128);
    let digest = hash("sha256", 64).or_else(|| sha512.clone());
    let (Some(filepath), Some(digest)) = (text("/installed_image/filepath"), digest) else {
        return Err(refuse(Kind::Invalid, "its report does not say what is installed"));
    };
    let length = envelope.signed.pointer("/installed_image/fileinfo/length");
    let counter = match envelope.signed.get("report_counter") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_u64(),
    };
    Ok(Read {
        filepath: filepath.to_owned(),
        digest,
        sha512,
        length: length.and_then(Value::as_u64).unwrap_or(0),
        counter,
    })
}
