//! The Image repository: what the operator vouches for.
//!
//! Root, targets and delegated targets arrive finished, signed by people or their tools; this
//! code accepts them as a client would, and no other way. Snapshot and timestamp are made here,
//! by keys that are online.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, Envelope, Header, Payload, Reason, RoleName, Root, Snapshot, Targets, Timestamp,
    check_threshold,
};

use crate::root::{root_authority, top_level_authority};
use crate::{Authority, Draft, Error, RootPlan};

/// Largest root, snapshot and timestamp file that is accepted: aktualizr's own limit.
pub(crate) const MAX_SMALL_FILE: usize = 64 * 1024;
/// Largest targets file that is accepted: aktualizr's own limit.
pub(crate) const MAX_TARGETS_FILE: usize = 8 * 1024 * 1024;

/// Until when freshly made files are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiries {
    /// Of targets files.
    pub targets: Time,
    /// Of snapshot files.
    pub snapshot: Time,
    /// Of timestamp files.
    pub timestamp: Time,
}

/// A file as it is served, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedFile<T> {
    /// Its payload.
    pub payload: T,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}

/// All files of an Image repository (or of a TUF repository, in that dialect).
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRepository {
    pub(crate) dialect: Dialect,
    pub(crate) roots: BTreeMap<u64, Vec<u8>>,
    pub(crate) root: Root,
    pub(crate) targets: Option<SignedFile<Targets>>,
    pub(crate) delegated: BTreeMap<String, SignedFile<Targets>>,
    pub(crate) snapshot: Option<SignedFile<Snapshot>>,
    pub(crate) timestamp: Option<SignedFile<Timestamp>>,
    /// The least version of the snapshot and timestamp that are signed next.
    pub(crate) least_version: u64,
}

impl ImageRepository {
    /// A repository that holds its first root and nothing else. Every later client starts from
    /// this file, so it is taken as it is once its own keys have signed it.
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::Refused`].
    pub fn new(dialect: Dialect, root: &[u8], now: Time) -> Result<Self, Error> {
        let envelope = envelope(dialect, "root", root, MAX_SMALL_FILE)?;
        let payload = payload::<Root>(dialect, "root", &envelope)?;
        check(dialect, "root", &envelope, &root_authority(&payload))?;
        check_expiry("root", payload.header.expires, now)?;
        Ok(Self {
            dialect,
            roots: BTreeMap::from([(payload.header.version, root.to_vec())]),
            root: payload,
            targets: None,
            delegated: BTreeMap::new(),
            snapshot: None,
            timestamp: None,
            least_version: 1,
        })
    }

    /// The wire form of all files.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The newest root.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The newest targets, when there are any.
    #[must_use]
    pub fn targets(&self) -> Option<&SignedFile<Targets>> {
        self.targets.as_ref()
    }

    /// A file by the name under which clients ask for it: `root.json`, `3.root.json`,
    /// `targets.json`, `7.targets.json`, `snapshot.json`, `timestamp.json`,
    /// `delegations/ROLE.json`, `ROLE.json`.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let stem = name.strip_suffix(".json")?;
        if let Some(role) = stem.strip_prefix("delegations/") {
            return self.delegated.get(role).map(|file| file.bytes.as_slice());
        }
        let (version, role) = match stem.split_once('.') {
            Some((digits, role)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                (Some(digits.parse::<u64>().ok()?), role)
            }
            _ => (None, stem),
        };
        let (found, bytes) = match role {
            "root" => {
                let version = version.unwrap_or(self.root.header.version);
                (version, self.roots.get(&version)?.as_slice())
            }
            "targets" => served(self.targets.as_ref())?,
            "snapshot" => served(self.snapshot.as_ref())?,
            "timestamp" => served(self.timestamp.as_ref())?,
            delegated => served(self.delegated.get(delegated))?,
        };
        (version.is_none_or(|wanted| wanted == found)).then_some(bytes)
    }

    /// A root after the newest one, to be signed by the thresholds of both.
    #[must_use]
    pub fn draft_root(&self, plan: &RootPlan, expires: Time) -> Draft {
        plan.next_root(self.dialect, &self.root, expires).in_context(self.roots(), None)
    }

    /// New top-level targets: the newest ones after `edit`, one version up. `changes` tells the
    /// person who signs what `edit` did.
    pub fn draft_targets(
        &self,
        expires: Time,
        changes: Vec<String>,
        edit: impl FnOnce(&mut Targets),
    ) -> Draft {
        let role = RoleName::Targets;
        let payload = self.edited(self.targets.as_ref(), expires, edit);
        let authority = top_level_authority(&self.root, &role);
        let current = self.targets.as_ref().map(|file| file.bytes.clone());
        Draft::new(self.dialect, role, payload.to_value(self.dialect), vec![authority], changes)
            .in_context(self.roots(), current)
    }

    /// All roots, the oldest first.
    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        self.roots.values().cloned().collect()
    }

    pub(crate) fn edited(
        &self,
        current: Option<&SignedFile<Targets>>,
        expires: Time,
        edit: impl FnOnce(&mut Targets),
    ) -> Targets {
        let version = current.map_or(1, |file| file.payload.header.version.saturating_add(1));
        let header = Header::new(self.dialect, version, expires);
        let mut payload = match current {
            Some(file) => Targets { header, ..file.payload.clone() },
            None => Targets::empty(header),
        };
        edit(&mut payload);
        payload
    }

    /// Takes the next root (TUF 5.3.4 to 5.3.6).
    ///
    /// # Errors
    /// [`Error::Refused`] unless it is one version up, signed by the thresholds of the newest
    /// root and its own, and not expired.
    pub fn accept_root(&mut self, bytes: &[u8], now: Time) -> Result<(), Error> {
        let envelope = envelope(self.dialect, "root", bytes, MAX_SMALL_FILE)?;
        let payload = payload::<Root>(self.dialect, "root", &envelope)?;
        check(self.dialect, "root", &envelope, &root_authority(&self.root))?;
        check(self.dialect, "root", &envelope, &root_authority(&payload))?;
        let expected = self.root.header.version.saturating_add(1);
        let found = payload.header.version;
        if found != expected || self.root.header.version == expected {
            return Err(Error::refused("root")(Reason::RootVersion { expected, found }));
        }
        check_expiry("root", payload.header.expires, now)?;
        self.roots.insert(found, bytes.to_vec());
        self.root = payload;
        Ok(())
    }

    /// Takes new top-level targets. The same bytes again change nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] unless they are newer, signed by the threshold, and not expired.
    pub fn accept_targets(&mut self, bytes: &[u8], now: Time) -> Result<(), Error> {
        let authority = top_level_authority(&self.root, &RoleName::Targets);
        let current = self.targets.as_ref();
        self.targets = Some(accept(self.dialect, "targets", bytes, &authority, current, now)?);
        Ok(())
    }
}

fn served<P: Payload>(file: Option<&SignedFile<P>>) -> Option<(u64, &[u8])> {
    file.map(|file| (file.payload.header().version, file.bytes.as_slice()))
}

pub(crate) fn accept(
    dialect: Dialect,
    subject: &str,
    bytes: &[u8],
    authority: &Authority,
    current: Option<&SignedFile<Targets>>,
    now: Time,
) -> Result<SignedFile<Targets>, Error> {
    let envelope = envelope(dialect, subject, bytes, MAX_TARGETS_FILE)?;
    let payload = payload::<Targets>(dialect, subject, &envelope)?;
    check(dialect, subject, &envelope, authority)?;
    check_expiry(subject, payload.header.expires, now)?;
    if let Some(current) = current {
        let trusted = current.payload.header.version;
        let found = payload.header.version;
        if found <= trusted && current.bytes != bytes {
            let what = format!("{subject}.json");
            return Err(Error::refused(subject)(Reason::Rollback {
                what,
                trusted,
                offered: Some(found),
            }));
        }
    }
    Ok(SignedFile { payload, bytes: bytes.to_vec() })
}

/// The version that a root file says it has; nothing is verified.
pub(crate) fn root_version(dialect: Dialect, bytes: &[u8]) -> Result<u64, Error> {
    let envelope = envelope(dialect, "root", bytes, MAX_SMALL_FILE)?;
    Ok(payload::<Root>(dialect, "root", &envelope)?.header.version)
}

pub(crate) fn envelope(
    dialect: Dialect,
    subject: &str,
    bytes: &[u8],
    limit: usize,
) -> Result<Envelope, Error> {
    Envelope::parse(dialect, bytes, limit).map_err(Error::format(subject))
}

pub(crate) fn payload<P: Payload>(
    dialect: Dialect,
    subject: &str,
    envelope: &Envelope,
) -> Result<P, Error> {
    P::from_value(dialect, envelope.signed.clone()).map_err(Error::refused(subject))
}

fn check(
    dialect: Dialect,
    subject: &str,
    envelope: &Envelope,
    authority: &Authority,
) -> Result<(), Error> {
    check_threshold(dialect, &authority.keys, &authority.role, envelope, &Verifier)
        .map_err(Error::refused(subject))
}

pub(crate) fn verify(
    dialect: Dialect,
    subject: &str,
    bytes: &[u8],
    authority: &Authority,
) -> Result<(), Error> {
    check(dialect, subject, &envelope(dialect, subject, bytes, MAX_TARGETS_FILE)?, authority)
}

fn check_expiry(subject: &str, expires: Time, now: Time) -> Result<(), Error> {
    let expired = || Error::refused(subject)(Reason::Expired { expires, now });
    (expires > now).then_some(()).ok_or_else(expired)
}
