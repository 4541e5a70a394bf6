//! Whether refs and the bindings of commits agree.

use updraft_ostree::{CollectionId, CollectionRef, Commit, ObjectType, RefName, Refspec};

use super::CheckBindings;
use crate::pull::check_bindings;
use crate::{Error, Repo, Result};

/// All disagreements, in words, and how many of them are about refs outside of collections.
pub(super) fn check(repo: &Repo, how: CheckBindings) -> Result<(Vec<String>, usize)> {
    let (mut errors, mut plain_errors) = (Vec::new(), 0);
    let own = repo.config().collection_id.clone();
    let plain = repo.refs()?.into_iter().map(|(refspec, commit)| {
        let own = own.clone().filter(|_| refspec.remote.is_none());
        (refspec.name, own, commit, true)
    });
    let mirrored = repo.mirrored_refs()?.into_iter();
    let mirrored = mirrored.map(|(of, commit)| {
        let collection = Some(of.collection.to_string());
        (of.name, collection, commit, false)
    });
    for (name, collection, checksum, is_plain) in plain.chain(mirrored) {
        let commit = match repo.load_commit(&checksum) {
            Ok((commit, _)) => commit,
            // Reported as missing or corrupt already.
            Err(Error::NoSuchObject(_)) => continue,
            Err(error) if error.is_corruption() => continue,
            Err(error) => return Err(error),
        };
        let checked =
            check_bindings(&commit, &checksum, Some(name.as_str()), collection.as_deref());
        if let Err(error) = checked {
            errors.push(error.to_string());
            plain_errors += usize::from(is_plain);
        }
    }
    if how == CheckBindings::RefsAndBack {
        errors.extend(back_references(repo)?);
    }
    Ok((errors, plain_errors))
}

/// Each ref that a commit is bound to has to name it.
fn back_references(repo: &Repo) -> Result<Vec<String>> {
    let mut errors = Vec::new();
    let all = repo.collection_refs()?;
    for object in repo.list_objects()? {
        if object.object_type != ObjectType::Commit {
            continue;
        }
        let Ok((commit, _)) = repo.load_commit(&object.checksum) else { continue };
        let bound = commit.metadata.get_str(Commit::COLLECTION_BINDING);
        let collection = bound.and_then(|id| CollectionId::new(id).ok());
        for name in commit.ref_bindings().unwrap_or_default() {
            let named = RefName::new(name).ok();
            let (found, what) = match (named, &collection) {
                (None, _) => (None, format!("Ref ‘{name}’")),
                (Some(name), None) => {
                    let what = format!("Ref ‘{name}’");
                    (repo.read_ref(&Refspec::local(name))?, what)
                }
                (Some(name), Some(collection)) => {
                    let of = CollectionRef { collection: collection.clone(), name };
                    (all.get(&of).copied(), format!("Collection–ref {of}"))
                }
            };
            let checksum = object.checksum;
            match found {
                Some(found) if found == checksum => {}
                Some(_) => errors.push(format!(
                    "{what} in bindings for commit {checksum} does not resolve to that commit"
                )),
                None => {
                    errors.push(format!("{what} in bindings for commit {checksum} does not exist"));
                }
            }
        }
    }
    Ok(errors)
}
