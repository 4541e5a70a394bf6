//! Whether refs and the bindings of commits agree.

use updraft_ostree::{ObjectType, RefName, Refspec};

use super::CheckBindings;
use crate::pull::check_bindings;
use crate::{Error, Repo, Result};

/// All disagreements, in words.
pub(super) fn check(repo: &Repo, how: CheckBindings) -> Result<Vec<String>> {
    let mut errors = Vec::new();
    let config = repo.config();
    for (refspec, checksum) in repo.refs()? {
        let commit = match repo.load_commit(&checksum) {
            Ok((commit, _)) => commit,
            // Reported as missing or corrupt already.
            Err(Error::NoSuchObject(_)) => continue,
            Err(error) if error.is_corruption() => continue,
            Err(error) => return Err(error),
        };
        let collection = config.collection_id.as_deref().filter(|_| refspec.remote.is_none());
        let name = refspec.name.as_str();
        if let Err(error) = check_bindings(&commit, &checksum, Some(name), collection) {
            errors.push(error.to_string());
        }
    }
    if how == CheckBindings::RefsAndBack {
        errors.extend(back_references(repo)?);
    }
    Ok(errors)
}

/// Each ref that a commit is bound to has to name it.
fn back_references(repo: &Repo) -> Result<Vec<String>> {
    let mut errors = Vec::new();
    for object in repo.list_objects()? {
        if object.object_type != ObjectType::Commit {
            continue;
        }
        let Ok((commit, _)) = repo.load_commit(&object.checksum) else { continue };
        for name in commit.ref_bindings().unwrap_or_default() {
            let found = match RefName::new(name) {
                Ok(name) => repo.read_ref(&Refspec::local(name))?,
                Err(_) => None,
            };
            let checksum = object.checksum;
            match found {
                Some(found) if found == checksum => {}
                Some(_) => errors.push(format!(
                    "Ref ‘{name}’ in bindings for commit {checksum} does not resolve to that commit"
                )),
                None => errors
                    .push(format!("Ref ‘{name}’ in bindings for commit {checksum} does not exist")),
            }
        }
    }
    Ok(errors)
}
