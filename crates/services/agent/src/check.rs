//! Asking what this device should run: full verification of Uptane over HTTP.

use updraft_crypto::Verifier;
use updraft_task::Context;
use updraft_tuf::{
    Dialect, DirectorFiles, FirstRoot, Hashes, InstalledTarget, Options, Outcome, Step,
    TargetFormat, UptaneTarget, UptaneUpdater, Verified,
};

use crate::config::DirectorMetadata;
use crate::gateway::File;
use crate::session::Session;
use crate::{Error, Result};

/// What the server and both repositories agree that this device should run.
pub(crate) type Wanted = Option<Verified<UptaneTarget>>;

/// Fetches and verifies metadata; each file is stored as soon as it is trusted.
pub(crate) fn online(ctx: &Context, session: &Session) -> Result<Wanted> {
    let trusted = session.store.trusted_metadata()?;
    let ecus = [session.ecu.clone()];
    let options = options(session)?;
    let mut updater = UptaneUpdater::new(trusted, &ecus, session.now(), &options, Verifier);
    loop {
        ctx.check()?;
        match updater.next()? {
            Step::Fetch { repository, file_name, max_length, .. } => {
                match session.gateway.metadata(ctx, repository, &file_name, max_length)? {
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
            Step::Done(outcome) => return select(session, outcome),
        }
    }
}

/// Verifies again what is stored, for work that goes on without the server.
pub(crate) fn offline(session: &Session) -> Result<Wanted> {
    let trusted = session.store.trusted_metadata()?;
    let ecus = [session.ecu.clone()];
    let options = options(session)?;
    let outcome = UptaneUpdater::verify_stored(&trusted, &ecus, session.now(), &options, Verifier)?;
    select(session, outcome)
}

fn options(session: &Session) -> Result<Options> {
    let installed = session.store.installed()?.map(|installed| InstalledTarget {
        ecu_serial: session.ecu.serial.clone(),
        filepath: installed.filepath,
        hashes: Hashes::from_sha256(&installed.sha256),
        release_counter: installed.release_counter,
    });
    Ok(Options {
        first_root: FirstRoot::TrustOnFirstUse,
        director: match session.settings.uptane.director_metadata {
            DirectorMetadata::Full => DirectorFiles::All,
            DirectorMetadata::TargetsOnly => DirectorFiles::RootAndTargets,
        },
        vehicle_id: Some(session.device_id.clone()),
        installed: installed.into_iter().collect(),
        ..Options::new(Dialect::Uptane)
    })
}

fn select(session: &Session, outcome: Outcome) -> Result<Wanted> {
    let Outcome::Update(targets) = outcome else { return Ok(None) };
    let target = targets.into_iter().find(|target| target.ecu_serial == session.ecu.serial);
    if let Some(target) = &target
        && target.format != TargetFormat::Ostree
    {
        return Err(Error::Target {
            filepath: target.filepath.clone(),
            problem: format!("its format is {}, and only OSTREE can be", target.format.name()),
            kind: updraft_error::Kind::Unsupported,
        });
    }
    Ok(target)
}

fn oversized(max_length: u64) -> Vec<u8> {
    let length = usize::try_from(max_length).unwrap_or(usize::MAX - 1);
    vec![0; length.saturating_add(1)]
}
