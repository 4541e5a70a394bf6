//! The source: what this device should run, as Uptane's full verification proves it.

use std::collections::BTreeSet;

use updraft_crypto::Verifier;
use updraft_error::Classify as _;
use updraft_task::Context;
use updraft_tuf::{
    Dialect, DirectorFiles, Ecu, EmptyTargets, EncryptedImages, FirstRoot, Hashes, InstalledTarget,
    Options, Outcome, Repository, RoleName, Step, TargetFormat, UptaneTarget, UptaneUpdater,
    Verified,
};
use updraft_update::{Assignment, Component, Image, Source, StepError};

use crate::config::DirectorMetadata;
use crate::gateway::File;
use crate::medium::Medium;
use crate::session::Session;
use crate::store::SecondaryRecord;
use crate::{Error, Result, installer, secondaries};

/// Where metadata comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    /// From the server; each file is stored as soon as it is trusted.
    Online,
    /// From the state, verified again: for work that goes on without the server.
    Offline,
    /// From a medium; each file is stored as soon as it is trusted.
    Medium(&'a Medium),
}

/// Director and Image repository, asked on behalf of one device.
#[derive(Debug)]
pub(crate) struct UptaneSource<'a> {
    session: &'a Session,
    /// The other ECUs that the server knows.
    secondaries: &'a [SecondaryRecord],
    /// Which of them take commits that a medium has.
    commits_of_medium: BTreeSet<String>,
    access: Access<'a>,
    error: Option<Error>,
}

impl<'a> UptaneSource<'a> {
    pub(crate) fn new(
        session: &'a Session,
        secondaries: &'a [SecondaryRecord],
        access: Access<'a>,
    ) -> Self {
        Self { session, secondaries, commits_of_medium: BTreeSet::new(), access, error: None }
    }

    /// The secondaries with these serials take commits that a medium has.
    pub(crate) fn with_commits_of_medium(self, serials: BTreeSet<String>) -> Self {
        Self { commits_of_medium: serials, ..self }
    }

    /// The error behind that of the last poll, with all it can say.
    pub(crate) fn error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn ask(&self, ctx: &Context) -> Result<Option<Assignment<UptaneTarget>>> {
        let ask = |director| match self.access {
            Access::Online => self.online(ctx, director),
            Access::Offline => self.offline(director),
            Access::Medium(medium) => self.ask_medium(ctx, medium),
        };
        let kind = match self.access {
            // A medium has files of its own in the place of the four.
            Access::Medium(_) => DirectorMetadata::Full,
            _ => self.session.settings.uptane.director_metadata,
        };
        let wanted = match kind {
            DirectorMetadata::Full => ask(DirectorFiles::All)?,
            DirectorMetadata::TargetsOnly => ask(DirectorFiles::RootAndTargets)?,
            DirectorMetadata::Auto => match ask(DirectorFiles::All) {
                Err(Error::Refused(_)) if serves_targets_only(self.session)? => {
                    ask(DirectorFiles::RootAndTargets)?
                }
                asked => asked?,
            },
        };
        if wanted.is_empty() { Ok(None) } else { assignment_of(wanted).map(Some) }
    }
}

impl Source for UptaneSource<'_> {
    type Target = UptaneTarget;

    fn poll(&mut self, ctx: &Context) -> Result<Option<Assignment<UptaneTarget>>, StepError> {
        self.ask(ctx).map_err(|error| {
            let told = StepError::message(error.kind(), error.to_string());
            self.error = Some(error);
            told
        })
    }
}

type Wanted = Vec<Verified<UptaneTarget>>;

impl UptaneSource<'_> {
    fn online(&self, ctx: &Context, director: DirectorFiles) -> Result<Wanted> {
        let session = self.session;
        let trusted = session.store.trusted_metadata()?;
        let (ecus, options) = (self.ecus(), self.options(director)?);
        let updater = UptaneUpdater::new(trusted, &ecus, session.now(), &options, Verifier);
        self.drive(ctx, updater, |repository, file_name, max_length| {
            session.gateway.metadata(ctx, repository, file_name, max_length)
        })
    }

    fn ask_medium(&self, ctx: &Context, medium: &Medium) -> Result<Wanted> {
        let session = self.session;
        let trusted = session.store.trusted_metadata()?;
        let ecus = self.ecus();
        // The first root comes with the device or from its server: anybody can write a medium.
        let options =
            Options { first_root: FirstRoot::Pinned, ..self.options(DirectorFiles::All)? };
        let updater = UptaneUpdater::from_medium(trusted, &ecus, session.now(), &options, Verifier);
        self.drive(ctx, updater, |repository, file_name, max_length| {
            medium.metadata(repository, file_name, max_length)
        })
    }

    /// Feeds the verification with what `file` gives, and stores what it trusts before it goes on.
    fn drive(
        &self,
        ctx: &Context,
        mut updater: UptaneUpdater<Verifier>,
        file: impl Fn(Repository, &str, u64) -> Result<File>,
    ) -> Result<Wanted> {
        let session = self.session;
        loop {
            ctx.check()?;
            match updater.next()? {
                Step::Fetch { repository, file_name, max_length, .. } => {
                    match file(repository, &file_name, max_length)? {
                        File::Bytes(bytes) => updater.received(&bytes)?,
                        File::Absent => updater.absent()?,
                        // One byte too many is what the updater refuses, whatever the bytes are.
                        File::TooLarge => updater.received(&oversized(max_length))?,
                    }
                }
                Step::Persist { repository, role, bytes } => {
                    session.store.persist_metadata(repository, &role, &bytes)?;
                }
                Step::Delete { repository, role } => {
                    session.store.delete_metadata(repository, &role)?;
                }
                Step::Done(outcome) => return self.select(outcome),
            }
        }
    }

    fn offline(&self, director: DirectorFiles) -> Result<Wanted> {
        let session = self.session;
        let trusted = session.store.trusted_metadata()?;
        let (ecus, options) = (self.ecus(), self.options(director)?);
        self.select(UptaneUpdater::verify_stored(
            &trusted,
            &ecus,
            session.now(),
            &options,
            Verifier,
        )?)
    }

    /// Why an encrypted image is of no use, as far as that is known before it is fetched.
    fn cannot_decrypt(&self, target: &UptaneTarget) -> Option<&'static str> {
        target.encrypted.as_ref()?;
        if target.format == TargetFormat::Ostree {
            return Some("only files can be encrypted");
        }
        let is_own = target.ecu_serial == self.session.ecu.serial;
        if is_own { installer::cannot_open(&self.session.key) } else { None }
    }

    /// Whether it is a secondary that can be asked to fetch a commit.
    fn fetches_commits(&self, serial: &str) -> bool {
        let found = self.secondaries.iter().find(|record| record.serial == serial);
        found.is_some_and(|record| secondaries::is_remote(&record.slot))
    }

    /// All ECUs of the vehicle, the primary first.
    fn ecus(&self) -> Vec<Ecu> {
        let others = self.secondaries.iter().map(|record| Ecu {
            serial: record.serial.clone(),
            hardware_id: record.hardware_id.clone(),
        });
        std::iter::once(self.session.ecu.clone()).chain(others).collect()
    }

    fn options(&self, director: DirectorFiles) -> Result<Options> {
        let session = self.session;
        let installed = session.store.installed()?.map(|installed| InstalledTarget {
            ecu_serial: session.ecu.serial.clone(),
            filepath: installed.filepath,
            hashes: Hashes::from_digest(&installed.sha256),
            release_counter: installed.release_counter,
        });
        // Only what was confirmed here: what a secondary says it runs must not stop the others.
        let others = self.secondaries.iter().filter_map(|record| {
            let (filepath, running, _) = record.running.as_ref()?;
            let (confirmed, release_counter) = record.confirmed.as_ref()?;
            (running == confirmed).then(|| InstalledTarget {
                ecu_serial: record.serial.clone(),
                filepath: filepath.clone(),
                hashes: Hashes::from_digest(confirmed),
                release_counter: *release_counter,
            })
        });
        Ok(Options {
            first_root: FirstRoot::TrustOnFirstUse,
            director,
            vehicle_id: Some(session.device_id.clone()),
            empty_targets: EmptyTargets::MayBeAnonymous,
            encrypted_images: EncryptedImages::Accept,
            installed: installed.into_iter().chain(others).collect(),
            ..Options::new(Dialect::Uptane)
        })
    }

    /// The targets of all ECUs, the primary's first, if each ECU takes what it gets.
    fn select(&self, outcome: Outcome) -> Result<Wanted> {
        let Outcome::Update(mut targets) = outcome else { return Ok(Vec::new()) };
        let primary = &self.session.ecu.serial;
        if matches!(self.access, Access::Medium(_)) {
            // The list is for all vehicles of a sort, whatever their ECUs can do.
            targets.retain(|target| {
                target.ecu_serial == *primary
                    || target.format == TargetFormat::Binary
                    || self.commits_of_medium.contains(&target.ecu_serial)
            });
        }
        targets.sort_by_key(|target| target.ecu_serial != *primary);
        for target in &targets {
            let format = if target.ecu_serial == *primary {
                installer::format(&self.session.settings.pacman)
            } else if self.fetches_commits(&target.ecu_serial) {
                // It knows best what it installs.
                target.format
            } else {
                TargetFormat::Binary
            };
            if let Some(problem) = self.cannot_decrypt(target) {
                return Err(Error::Target {
                    filepath: target.filepath.clone(),
                    problem: format!("it is encrypted, and {problem}"),
                    kind: updraft_error::Kind::Unsupported,
                });
            }
            if target.format != format {
                let (given, wanted) = (target.format.name(), format.name());
                return Err(Error::Target {
                    filepath: target.filepath.clone(),
                    problem: format!("its format is {given}, and only {wanted} can be"),
                    kind: updraft_error::Kind::Unsupported,
                });
            }
        }
        Ok(targets)
    }
}

/// Whether the Director's trusted root names no keys for timestamp and snapshot: then it cannot
/// serve them, and nobody can hold them back.
fn serves_targets_only(session: &Session) -> Result<bool> {
    let trusted = session.store.trusted_metadata()?;
    trusted.director.get(&RoleName::Root).map_or(Ok(false), names_targets_only)
}

fn names_targets_only(root: &[u8]) -> Result<bool> {
    let root: serde_json::Value =
        serde_json::from_slice(root).map_err(|_| Error::Damaged { what: "the Director's root" })?;
    let names = |role: &str| root.pointer(&format!("/signed/roles/{role}")).is_some();
    Ok(!names("timestamp") && !names("snapshot"))
}

fn oversized(max_length: u64) -> Vec<u8> {
    let length = usize::try_from(max_length).unwrap_or(usize::MAX - 1);
    vec![0; length.saturating_add(1)]
}

fn assignment_of(targets: Wanted) -> Result<Assignment<UptaneTarget>> {
    let id = targets.first().and_then(|target| target.correlation_id.clone()).unwrap_or_default();
    let mut assigned = Vec::new();
    for target in targets {
        let digest = target.hashes.digest().and_then(|digest| digest.parse().ok());
        let digest = digest.ok_or_else(|| Error::Target {
            filepath: target.filepath.clone(),
            problem: "it has no hash that can be verified".to_owned(),
            kind: updraft_error::Kind::Invalid,
        })?;
        let image = Image { name: target.filepath.clone(), digest };
        assigned.push((Component::new(target.ecu_serial.clone()), image, target));
    }
    Ok(Assignment { id, targets: assigned })
}

#[cfg(test)]
mod tests {
    use super::names_targets_only;

    #[test]
    fn only_a_root_without_both_roles_excuses_a_director() {
        for (roles, excused) in [
            (r#""root": {}, "targets": {}"#, true),
            (r#""root": {}, "targets": {}, "timestamp": {}"#, false),
            (r#""root": {}, "targets": {}, "snapshot": {}"#, false),
            (r#""root": {}, "targets": {}, "snapshot": {}, "timestamp": {}"#, false),
        ] {
            let root = format!(r#"{{"signed": {{"roles": {{{roles}}}}}}}"#);
            assert_eq!(names_targets_only(root.as_bytes()).unwrap(), excused, "{roles}");
        }
        assert!(names_targets_only(b"nonsense").is_err());
    }
}
