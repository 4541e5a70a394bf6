//! Checks that every file goes through, whichever role it holds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp as Time;

use crate::envelope::Opened;
use crate::json::Document;
use crate::verify::check_signatures;
use crate::{
    Dialect, FileMeta, Header, Key, KeyId, Payload, Reason, RoleKeys, Signature, VerifySignature,
    canonical,
};

/// The signatures of a file, and the bytes that they cover.
pub(crate) struct Signed<'a> {
    signatures: Vec<Signature>,
    message: Cow<'a, [u8]>,
}

/// What stays the same for a whole run.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) dialect: Dialect,
    /// The fixed start time of the run.
    pub(crate) now: Time,
    pub(crate) verifier: &'a dyn VerifySignature,
}

impl Judge<'_> {
    /// Reads a file of role `T` and checks its signatures against `role`.
    pub(crate) fn open<T: Payload>(
        &self,
        bytes: &[u8],
        keys: &BTreeMap<KeyId, Key>,
        role: &RoleKeys,
    ) -> Result<T, Reason> {
        let (payload, signed) = self.read::<T>(bytes)?;
        self.check_signatures(&signed, keys, role)?;
        Ok(payload)
    }

    /// Reads a file of role `T` without checking signatures.
    pub(crate) fn read<'a, T: Payload>(&self, bytes: &'a [u8]) -> Result<(T, Signed<'a>), Reason> {
        // Callers have applied the role's length limit already.
        let Opened { signatures, signed, message } =
            Opened::parse(self.dialect, bytes, bytes.len())?;
        let payload = T::from_json(self.dialect, signed)?;
        Ok((payload, Signed { signatures, message }))
    }

    pub(crate) fn check_signatures(
        &self,
        signed: &Signed<'_>,
        keys: &BTreeMap<KeyId, Key>,
        role: &RoleKeys,
    ) -> Result<(), Reason> {
        let Signed { signatures, message } = signed;
        check_signatures(self.dialect, keys, role, signatures, message, self.verifier)
    }

    /// A file is refused from the moment on at which it expires.
    pub(crate) fn check_expiry(&self, header: &Header) -> Result<(), Reason> {
        if self.now < header.expires {
            Ok(())
        } else {
            Err(Reason::Expired { expires: header.expires, now: self.now })
        }
    }

    /// Length and hashes of a file against what another file says about it.
    ///
    /// In the Uptane dialect these describe the canonical form, so a file that was written with
    /// other white space is brought into that form first.
    pub(crate) fn check_file(&self, meta: &FileMeta, bytes: &[u8]) -> Result<(), Reason> {
        let raw = check_bytes(meta, bytes);
        if raw.is_ok() || self.dialect == Dialect::Tuf {
            return raw;
        }
        let document = Document::parse(bytes, bytes.len())?;
        let canonical = canonical::encode_json(self.dialect, &document.value)?;
        check_bytes(meta, &canonical)
            .map_err(|canonical_reason| raw.err().unwrap_or(canonical_reason))
    }

    /// The version that the file above lists must be the file's.
    pub(crate) fn check_listed_version(meta: &FileMeta, header: &Header) -> Result<(), Reason> {
        if meta.version == header.version {
            Ok(())
        } else {
            Err(Reason::MixAndMatch { listed: meta.version, found: header.version })
        }
    }

    /// A version never goes down.
    pub(crate) fn check_not_lower(what: &str, trusted: u64, offered: u64) -> Result<(), Reason> {
        if offered >= trusted {
            Ok(())
        } else {
            Err(Reason::Rollback { what: what.to_owned(), trusted, offered: Some(offered) })
        }
    }
}

fn check_bytes(meta: &FileMeta, bytes: &[u8]) -> Result<(), Reason> {
    let found = bytes.len() as u64;
    if let Some(listed) = meta.length.filter(|listed| *listed != found) {
        return Err(Reason::WrongLength { listed, found });
    }
    match &meta.hashes {
        Some(hashes) if !hashes.verify(bytes) => Err(Reason::WrongHash),
        _ => Ok(()),
    }
}
