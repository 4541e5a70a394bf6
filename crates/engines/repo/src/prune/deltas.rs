//! Static deltas lead to a commit; when it is gone, so is their use.

use std::collections::HashSet;

use updraft_fs::{FileKind, remove_tree};
use updraft_ostree::Checksum;
use updraft_ostree::delta::{DeltaFormat, DeltaName};

use super::Action;
use super::reach::Reachable;
use crate::{Repo, Result};

/// Removes deltas whose target is not reachable; says how many.
pub(super) fn sweep(repo: &Repo, reachable: &Reachable, action: Action) -> Result<u64> {
    let targets: HashSet<&Checksum> = reachable.commits().collect();
    let mut removed = 0;
    for format in DeltaFormat::ALL {
        removed += sweep_folder(repo, format.folder(), &targets, action)?;
    }
    Ok(removed)
}

fn sweep_folder(
    repo: &Repo,
    deltas: &str,
    targets: &HashSet<&Checksum>,
    action: Action,
) -> Result<u64> {
    let Some(deltas) = repo.root().try_open_dir(deltas)? else { return Ok(0) };
    let mut removed = 0;
    for folder in deltas.sorted_entries()? {
        let Some(prefix) = folder.name.to_str() else { continue };
        if folder.kind != FileKind::Directory {
            continue;
        }
        let dir = deltas.open_dir(prefix)?;
        for entry in dir.sorted_entries()? {
            let Some(rest) = entry.name.to_str() else { continue };
            // What is no delta leads nowhere.
            let name = DeltaName::from_folder(prefix, rest);
            let leads = name.is_ok_and(|name| targets.contains(&name.to));
            if entry.kind == FileKind::Directory && !leads {
                removed += 1;
                if action == Action::Remove {
                    remove_tree(&dir, rest)?;
                }
            }
        }
    }
    Ok(removed)
}
