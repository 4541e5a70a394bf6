//! Going through the objects that are there.

use updraft_fs::{Dir, FileKind};
use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_task::{Context, Event, Unit};

use super::reach::Reachable;
use super::{Action, PruneOptions, PruneReport, Scope, tombstone};
use crate::{Repo, Result, split_xattrs};

const PHASE: &str = "looking through objects";

/// The order of removal: what refers before what is referred to.
const ORDER: [ObjectType; 4] =
    [ObjectType::Commit, ObjectType::DirTree, ObjectType::DirMeta, ObjectType::File];

/// All commits that are there.
pub(super) fn commits(repo: &Repo) -> Result<Vec<Checksum>> {
    let mut commits = Vec::new();
    each_folder(repo, |prefix, dir| {
        for name in objects(repo, prefix, dir)? {
            if name.object_type == ObjectType::Commit {
                commits.push(name.checksum);
            }
        }
        Ok(())
    })?;
    Ok(commits)
}

/// Counts all objects and removes those that are not in `reachable`.
pub(super) fn sweep(
    ctx: &Context,
    repo: &Repo,
    reachable: &Reachable,
    options: &PruneOptions,
) -> Result<PruneReport> {
    let mut report = PruneReport::default();
    let mut doomed = Vec::new();
    each_folder(repo, |prefix, dir| {
        ctx.check()?;
        for name in objects(repo, prefix, dir)? {
            let counted = match options.scope {
                Scope::AllObjects => ORDER.contains(&name.object_type),
                Scope::Commits => name.object_type == ObjectType::Commit,
            };
            if counted {
                report.total += 1;
                if !reachable.contains(&name) {
                    doomed.push(name);
                }
            }
        }
        Ok(())
    })?;
    doomed.sort_unstable_by_key(|name| {
        (ORDER.iter().position(|kind| *kind == name.object_type), name.checksum)
    });
    let total = Some(doomed.len() as u64);
    ctx.report(&Event::Started { phase: PHASE, total, unit: Unit::Items });
    for (done, name) in doomed.iter().enumerate() {
        ctx.check()?;
        remove(repo, name, options.action, &mut report)?;
        ctx.report(&Event::Advanced { phase: PHASE, done: done as u64 + 1, total });
    }
    if options.action == Action::Remove {
        split_xattrs::remove_unused(repo)?;
    }
    ctx.report(&Event::Finished { phase: PHASE });
    Ok(report)
}

fn remove(repo: &Repo, name: &ObjectName, action: Action, report: &mut PruneReport) -> Result<()> {
    let path = name.loose_path(repo.mode());
    let Some(metadata) = repo.objects_dir().try_metadata(&path)? else { return Ok(()) };
    if action == Action::Remove {
        if name.object_type == ObjectType::Commit {
            tombstone::delete_commit(repo, &name.checksum)?;
        } else {
            repo.delete_object(name)?;
        }
    }
    report.freed_bytes += metadata.size;
    if name.object_type == ObjectType::File {
        report.pruned_content += 1;
    } else {
        report.pruned_metadata += 1;
    }
    Ok(())
}

/// Calls `visit` with each folder `objects/XX` and its two digits.
fn each_folder(repo: &Repo, mut visit: impl FnMut(&str, &Dir) -> Result<()>) -> Result<()> {
    for entry in repo.objects_dir().sorted_entries()? {
        let Some(prefix) = entry.name.to_str() else { continue };
        if entry.kind == FileKind::Directory && prefix.len() == 2 {
            visit(prefix, &repo.objects_dir().open_dir(prefix)?)?;
        }
    }
    Ok(())
}

/// The objects in a folder; other files are none of ours.
fn objects(repo: &Repo, prefix: &str, dir: &Dir) -> Result<Vec<ObjectName>> {
    let name = |entry: updraft_fs::Entry| {
        let path = format!("{prefix}/{}", entry.name.to_str()?);
        ObjectName::from_loose_path(&path, repo.mode()).ok()
    };
    Ok(dir.entries()?.into_iter().filter_map(name).collect())
}
