//! What this ECU shall run, as metadata proves it: by full verification, of the Image repository
//! alone, or of the Director's targets alone.

use jiff::Timestamp;
use serde_json::Value;
use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, DirectorFiles, Ecu, EmptyTargets, EncryptedImages, Envelope, FirstRoot,
    InstalledTarget, Options, OtherEcus, Outcome, Payload as _, Refusal, Repository, RoleName,
    Step, Target, Targets, TrustedMetadata, TufUpdater, UptaneTarget, UptaneUpdater, Verified,
};

use crate::medium::Listed;
use crate::state::ImageRecord;
use crate::{Error, Result};

/// The largest file that is looked into, in bytes; verification has limits of its own.
const MAX_FILE: usize = 8 << 20;

/// How much of Uptane an ECU verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// Both repositories, which have to agree.
    #[default]
    Full,
    /// The Image repository alone; the target is the newest one for this hardware.
    Tuf,
    /// The Director's root and targets alone.
    Partial,
}

impl Verification {
    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "Full",
            Self::Tuf => "Tuf",
            Self::Partial => "Partial",
        }
    }
}

impl std::str::FromStr for Verification {
    type Err = UnknownVerification;

    /// Reads `Full`, `Tuf` or `Partial`, in any case.
    fn from_str(name: &str) -> std::result::Result<Self, UnknownVerification> {
        [Self::Full, Self::Tuf, Self::Partial]
            .into_iter()
            .find(|one| one.name().eq_ignore_ascii_case(name))
            .ok_or(UnknownVerification)
    }
}

/// A name that is none of `Full`, `Tuf` and `Partial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of Full, Tuf and Partial")]
pub struct UnknownVerification;

/// What verification came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing is assigned to this ECU.
    Nothing,
    /// It runs what is assigned already.
    Installed,
    /// It shall run this.
    Assigned(Box<Verified<UptaneTarget>>),
}

/// A change of the trusted files.
#[derive(Debug)]
pub(crate) enum Change {
    /// This file is trusted now.
    Persist(Repository, RoleName, Vec<u8>),
    /// This one no longer.
    Delete(Repository, RoleName),
}

/// One run of verification.
pub(crate) struct Run<'a> {
    pub(crate) verification: Verification,
    pub(crate) director: DirectorFiles,
    pub(crate) first_root: FirstRoot,
    pub(crate) ecu: &'a Ecu,
    pub(crate) installed: Option<&'a ImageRecord>,
    /// The files that are trusted.
    pub(crate) stored: &'a TrustedMetadata,
    /// The files that the primary offers; none: what is stored is verified again.
    pub(crate) offered: Option<&'a TrustedMetadata>,
    pub(crate) now: Timestamp,
    /// Whether the files are those of a medium: without a timestamp, and with a Director's word for
    /// all vehicles of a sort.
    pub(crate) medium: bool,
}

type Persist<'p> = dyn FnMut(Change) -> Result<()> + 'p;

impl Run<'_> {
    /// Verifies, and hands out each file as soon as it is trusted.
    pub(crate) fn verify(&self, persist: &mut Persist<'_>) -> Result<Verdict> {
        match self.verification {
            Verification::Tuf => self.tuf(persist),
            Verification::Full | Verification::Partial => self.uptane(persist),
        }
    }

    fn uptane(&self, persist: &mut Persist<'_>) -> Result<Verdict> {
        let source = self.offered.unwrap_or(self.stored);
        let ecus = [self.ecu.clone()];
        let stored = self.stored.clone();
        let options = self.options();
        let mut updater = if self.medium {
            UptaneUpdater::from_medium(stored, &ecus, self.now, &options, Verifier)
        } else {
            UptaneUpdater::new(stored, &ecus, self.now, &options, Verifier)
        };
        let mut medium = Listed::of(&self.stored.director, &source.director);
        loop {
            match updater.next()? {
                Step::Fetch { repository, role, file_name, .. } => {
                    match self.answer(source, repository, &role, &file_name) {
                        // Of several that are listed this is one, and the protocol does not say
                        // under which name.
                        Some(bytes) if role == RoleName::OfflineUpdates => {
                            if medium.is_next(bytes) {
                                updater.received(bytes)?;
                            } else {
                                updater.absent()?;
                            }
                        }
                        Some(bytes) => updater.received(bytes)?,
                        None => updater.absent()?,
                    }
                }
                Step::Persist { repository, role, bytes } => {
                    persist(Change::Persist(repository, role, bytes))?;
                }
                Step::Delete { repository, role } => persist(Change::Delete(repository, role))?,
                Step::Done(Outcome::Update(targets)) => {
                    let is_own =
                        |target: &Verified<UptaneTarget>| target.ecu_serial == self.ecu.serial;
                    let own = targets.into_iter().find(is_own);
                    let assigned = |target| Verdict::Assigned(Box::new(target));
                    return Ok(own.map_or(Verdict::Nothing, assigned));
                }
                Step::Done(Outcome::UpToDate) => {
                    // The file is trusted by now.
                    let targets = source.director.get(&RoleName::Targets).and_then(targets_of);
                    let is_named = targets.is_some_and(|targets| {
                        targets.targets.values().any(|target| names(target, &self.ecu.serial))
                    });
                    return Ok(if is_named { Verdict::Installed } else { Verdict::Nothing });
                }
            }
        }
    }

    fn tuf(&self, persist: &mut Persist<'_>) -> Result<Verdict> {
        let source = self.offered.unwrap_or(self.stored);
        let stored = self.stored.image.clone();
        let options = self.options();
        let mut updater = if self.medium {
            TufUpdater::from_medium(stored, &[], self.now, &options, Verifier)
        } else {
            TufUpdater::new(stored, &[], self.now, &options, Verifier)
        };
        let outcome = loop {
            match updater.next()? {
                Step::Fetch { role, file_name, .. } => {
                    match self.answer(source, Repository::Image, &role, &file_name) {
                        Some(bytes) => updater.received(bytes)?,
                        None => updater.absent()?,
                    }
                }
                Step::Persist { role, bytes, .. } => {
                    persist(Change::Persist(Repository::Image, role, bytes))?;
                }
                Step::Delete { role, .. } => persist(Change::Delete(Repository::Image, role))?,
                Step::Done(outcome) => break outcome,
            }
        };
        let Some(target) = outcome.latest_for(self.ecu) else {
            return Err(Error::NoTarget { hardware_id: self.ecu.hardware_id.clone() });
        };
        let is_installed = self.installed.is_some_and(|installed| {
            installed.filepath == target.filepath && target.hashes.agrees_with(&installed.hashes())
        });
        Ok(if is_installed { Verdict::Installed } else { Verdict::Assigned(Box::new(target)) })
    }

    fn options(&self) -> Options {
        let installed = self.installed.map(|image| InstalledTarget {
            ecu_serial: self.ecu.serial.clone(),
            filepath: image.filepath.clone(),
            hashes: image.hashes(),
            release_counter: image.release_counter,
        });
        Options {
            // Anybody can write a medium.
            first_root: if self.medium { FirstRoot::Pinned } else { self.first_root },
            director: self.director,
            verification: match self.verification {
                Verification::Partial => updraft_tuf::Verification::Partial,
                Verification::Full | Verification::Tuf => updraft_tuf::Verification::Full,
            },
            other_ecus: OtherEcus::Ignore,
            // A secondary does not know its vehicle's name.
            empty_targets: EmptyTargets::MayBeAnonymous,
            encrypted_images: EncryptedImages::Accept,
            installed: installed.into_iter().collect(),
            ..Options::new(Dialect::Uptane)
        }
    }

    /// The file that verification asks for, where the source has it.
    fn answer<'f>(
        &self,
        source: &'f TrustedMetadata,
        repository: Repository,
        role: &RoleName,
        file_name: &str,
    ) -> Option<&'f [u8]> {
        let bytes = source.files(repository).get(role)?;
        if *role != RoleName::Root {
            return Some(bytes);
        }
        // Only the root that is asked for, of which the primary sends one; stored roots are no
        // successors of themselves.
        let is_next = self.offered.is_some()
            && root_version(bytes)
                .is_some_and(|version| file_name == format!("{version}.root.json"));
        is_next.then_some(bytes)
    }
}

/// Verifies the root that follows the stored one, or the first one where that is allowed.
pub(crate) fn next_root(
    run: &Run<'_>,
    repository: Repository,
    bytes: &[u8],
    persist: &mut Persist<'_>,
) -> Result<()> {
    // The chain of roots is the same for both repositories.
    let stored = run.stored.files(repository).clone();
    let mut updater = TufUpdater::new(stored, &[], run.now, &run.options(), Verifier);
    let named = |refusal: Refusal| Error::Refused(Refusal { repository, ..refusal });
    let mut is_given = false;
    loop {
        match updater.next().map_err(named)? {
            Step::Fetch { role: RoleName::Root, .. } if !is_given => {
                updater.received(bytes).map_err(named)?;
                is_given = true;
            }
            Step::Persist { role, bytes, .. } => persist(Change::Persist(repository, role, bytes))?,
            Step::Delete { role, .. } => persist(Change::Delete(repository, role))?,
            // The next root is not here yet, and everything else is for another message.
            Step::Fetch { .. } | Step::Done(_) => return Ok(()),
        }
    }
}

/// The version that a root file claims.
pub(crate) fn root_version(bytes: &[u8]) -> Option<u64> {
    let envelope = Envelope::parse(Dialect::Uptane, bytes, MAX_FILE).ok()?;
    envelope.signed.get("version")?.as_u64()
}

fn targets_of(bytes: &[u8]) -> Option<Targets> {
    let envelope = Envelope::parse(Dialect::Uptane, bytes, MAX_FILE).ok()?;
    Targets::from_value(Dialect::Uptane, envelope.signed).ok()
}

fn names(target: &Target, serial: &str) -> bool {
    let ecus = target.custom_field("ecuIdentifiers").and_then(Value::as_object);
    ecus.is_some_and(|ecus| ecus.contains_key(serial))
}
