//! The TUF repository: files from a server, a folder or what is stored, verified one after the
//! other. The trusted root decides the dialect.

use std::path::Path;

use updraft_crypto::Verifier;
use updraft_fs::Dir;
use updraft_task::Context;
use updraft_tuf::{
    Dialect, FirstRoot, Options, Reason, Repository, RoleFiles, RoleName, Step, TufOutcome,
    TufUpdater,
};

use super::StatusCode;
use crate::gateway::File;
use crate::session::Session;
use crate::{Error, Result};

/// The file that a client without a root begins with.
const FIRST_ROOT: &str = "1.root.json";

/// Where files come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Files<'a> {
    /// The device gateway or any web server.
    Server,
    /// A folder, with or without version numbers in the names.
    Folder(&'a Path),
    /// What is trusted already; there is no newer root.
    Stored,
}

/// What becomes of a stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Persist(RoleName, Vec<u8>),
    Delete(RoleName),
}

/// Brings the stored metadata up to date; each file is stored once it is trusted.
pub(super) fn update(ctx: &Context, session: &Session, files: Files<'_>) -> Result<TufOutcome> {
    let trusted = session.store.trusted_metadata()?.image;
    verify(ctx, session, &trusted, files, |change| apply(session, &change))
}

/// What would be trusted after an update from these files, and how the stored files would change.
pub(super) fn preview(
    ctx: &Context,
    session: &Session,
    files: Files<'_>,
) -> Result<(TufOutcome, RoleFiles, Vec<Change>)> {
    let trusted = session.store.trusted_metadata()?.image;
    let (mut after, mut changes) = (trusted.clone(), Vec::new());
    let outcome = verify(ctx, session, &trusted, files, |change| {
        match &change {
            Change::Persist(role, bytes) => after.insert(role.clone(), bytes.clone()),
            Change::Delete(role) => after.remove(role),
        }
        changes.push(change);
        Ok(())
    })?;
    Ok((outcome, after, changes))
}

/// The targets of the stored metadata, verified again.
pub(super) fn stored(ctx: &Context, session: &Session) -> Result<TufOutcome> {
    let trusted = session.store.trusted_metadata()?.image;
    verify(ctx, session, &trusted, Files::Stored, |_| Ok(()))
}

/// Stores a change of a trusted file.
pub(super) fn apply(session: &Session, change: &Change) -> Result<()> {
    match change {
        Change::Persist(role, bytes) => {
            session.store.persist_metadata(Repository::Image, role, bytes)
        }
        Change::Delete(role) => session.store.delete_metadata(Repository::Image, role),
    }
}

/// The exit code of metadata that was not accepted.
pub(super) fn code_of(error: &Error, files: Files<'_>) -> StatusCode {
    match (error, files) {
        (Error::Refused(refusal), _) if matches!(refusal.reason, Reason::Expired { .. }) => {
            StatusCode::CheckinExpiredMetadata
        }
        (Error::Refused(refusal), Files::Folder(_)) if refusal.reason == Reason::Missing => {
            StatusCode::CheckinMetadataNotFound
        }
        (Error::Refused(refusal), _) if refusal.reason == Reason::Missing => {
            StatusCode::CheckinMetadataFetchFailure
        }
        (Error::Refused(_), _) => StatusCode::CheckinSecurityError,
        (Error::Http(_), _) => StatusCode::CheckinMetadataFetchFailure,
        _ => StatusCode::CheckinFailure,
    }
}

/// The wire form of a root. Signatures of the Uptane world say their method, those of the TUF
/// specification never do. A file that is no root at all is refused when it is verified.
pub(super) fn dialect_of(root: &[u8]) -> Dialect {
    let value = updraft_tuf::json::parse(root, root.len()).unwrap_or_default();
    let signatures = value.get("signatures").and_then(serde_json::Value::as_array);
    let says_method = |signature: &serde_json::Value| signature.get("method").is_some();
    if signatures.is_some_and(|all| all.iter().any(says_method)) {
        Dialect::Uptane
    } else {
        Dialect::Tuf
    }
}

fn verify(
    ctx: &Context,
    session: &Session,
    trusted: &RoleFiles,
    files: Files<'_>,
    mut keep: impl FnMut(Change) -> Result<()>,
) -> Result<TufOutcome> {
    let get = |role: &RoleName, name: &str, limit| match files {
        Files::Server => session.gateway.metadata(ctx, Repository::Image, name, limit),
        Files::Folder(folder) => in_folder(folder, role, name, limit),
        Files::Stored => Ok(match trusted.get(role).filter(|_| *role != RoleName::Root) {
            Some(bytes) => File::Bytes(bytes.to_vec()),
            None => File::Absent,
        }),
    };
    let mut options =
        Options { first_root: FirstRoot::TrustOnFirstUse, ..Options::new(Dialect::Uptane) };
    let mut first = None;
    if let Some(root) = trusted.get(&RoleName::Root) {
        options.dialect = dialect_of(root);
    } else {
        let file = get(&RoleName::Root, FIRST_ROOT, options.limits.root_length)?;
        if let File::Bytes(root) = &file {
            options.dialect = dialect_of(root);
        }
        first = Some(file);
    }
    let mut updater = TufUpdater::new(trusted.clone(), &[], session.now(), &options, Verifier);
    loop {
        ctx.check()?;
        match updater.next()? {
            Step::Fetch { role, file_name, max_length, .. } => {
                let file = match first.take() {
                    Some(file) => file,
                    None => get(&role, &file_name, max_length)?,
                };
                match file {
                    File::Bytes(bytes) => updater.received(&bytes)?,
                    File::Absent => updater.absent()?,
                    // One byte too many is what the updater refuses, whatever the bytes are.
                    File::TooLarge => updater.received(&oversized(max_length))?,
                }
            }
            Step::Persist { role, bytes, .. } => keep(Change::Persist(role, bytes))?,
            Step::Delete { role, .. } => keep(Change::Delete(role))?,
            Step::Done(outcome) => return Ok(outcome),
        }
    }
}

/// A file of a bundle. Only roots have to carry their version in the name.
pub(super) fn in_folder(folder: &Path, role: &RoleName, name: &str, limit: u64) -> Result<File> {
    let dir = match Dir::open(folder) {
        Ok(dir) => dir,
        Err(error) if error.is_not_found() => return Ok(File::Absent),
        Err(error) => return Err(error.into()),
    };
    let plain = role.file_name();
    let names = if *role == RoleName::Root { vec![name] } else { vec![name, plain.as_str()] };
    for name in names {
        let Some(metadata) = dir.try_metadata(name)? else { continue };
        if metadata.size > limit {
            return Ok(File::TooLarge);
        }
        if let Some(bytes) = dir.try_read(name, limit)? {
            return Ok(File::Bytes(bytes));
        }
    }
    Ok(File::Absent)
}

fn oversized(max_length: u64) -> Vec<u8> {
    let length = usize::try_from(max_length).unwrap_or(usize::MAX - 1);
    vec![0; length.saturating_add(1)]
}
