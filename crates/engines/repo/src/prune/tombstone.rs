//! Removing one commit, and remembering that it was removed on purpose.

use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, Metadata, ObjectName, ObjectType};

use crate::staging::Durable;
use crate::{CommitState, Repo, Result};

/// Removes a commit object, what is kept beside it, and its marker. With `tombstone-commits` in
/// the configuration a tombstone takes its place.
pub(super) fn delete_commit(repo: &Repo, commit: &Checksum) -> Result<()> {
    if repo.config().tombstone_commits {
        write_tombstone(repo, commit)?;
    }
    remove(repo, commit)
}

/// Puts a tombstone in the place of a commit, whatever the configuration says.
pub(crate) fn bury(repo: &Repo, commit: &Checksum) -> Result<()> {
    write_tombstone(repo, commit)?;
    remove(repo, commit)
}

/// Takes the tombstone of a commit away.
pub(crate) fn exhume(repo: &Repo, commit: &Checksum) -> Result<()> {
    let path = ObjectName::new(*commit, ObjectType::TombstoneCommit).loose_path(repo.mode());
    Ok(repo.objects_dir().try_unlink(path).map(drop)?)
}

fn write_tombstone(repo: &Repo, commit: &Checksum) -> Result<()> {
    let mut metadata = Metadata::new();
    metadata.insert("commit", Value::Bytes(format!("{commit}\0").into_bytes()));
    let path = ObjectName::new(*commit, ObjectType::TombstoneCommit).loose_path(repo.mode());
    repo.replace(format!("objects/{path}"), &metadata.encode(), (0o644, Durable::Yes))
}

fn remove(repo: &Repo, commit: &Checksum) -> Result<()> {
    let path = |kind| ObjectName::new(*commit, kind).loose_path(repo.mode());
    repo.objects_dir().try_unlink(path(ObjectType::CommitMeta))?;
    // Commit point: without its object the commit is gone.
    repo.objects_dir().try_unlink(path(ObjectType::Commit))?;
    repo.set_commit_state(commit, CommitState::Complete)
}
