//! Which objects there have to be.

use std::collections::{BTreeMap, HashMap, HashSet};

use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_task::Context;

use super::Problem;
use crate::{Error, Repo, Result};

/// Commits that refs name and that are not here.
pub(super) fn missing_ref_targets(repo: &Repo) -> Result<Vec<Problem>> {
    let mut missing: BTreeMap<Checksum, Problem> = BTreeMap::new();
    let plain = repo.refs()?.into_iter().map(|(refspec, commit)| (refspec.to_string(), commit));
    let mirrored = repo.mirrored_refs()?.into_iter();
    let mirrored = mirrored.map(|(of, commit)| (format!("{}:{}", of.collection, of.name), commit));
    for (name, commit) in plain.chain(mirrored) {
        let object = ObjectName::new(commit, ObjectType::Commit);
        if !repo.has_object(&object)? {
            let problem = missing.entry(commit).or_insert_with(|| Problem::missing(object));
            problem.refs.push(name);
        }
    }
    Ok(missing.into_values().collect())
}

/// All objects of these commits, each once, and directories that cannot be looked into because
/// they are not here. One that is here but unreadable is among the objects.
pub(super) fn objects(
    ctx: &Context,
    repo: &Repo,
    commits: &[Checksum],
) -> Result<(Vec<ObjectName>, Vec<ObjectName>)> {
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    for commit in commits {
        ctx.check()?;
        walk(repo, commit, &mut |object, is_here| {
            let is_new = seen.insert(object);
            if is_new && !is_here {
                missing.push(object);
            }
            is_new
        })?;
    }
    for object in &missing {
        seen.remove(object);
    }
    let mut objects: Vec<_> = seen.into_iter().collect();
    // By folder: one after the other is read from the same place.
    objects.sort_unstable_by_key(|object| object.checksum);
    Ok((objects, missing))
}

/// Says for each problem which commits have it.
pub(super) fn name_commits(
    ctx: &Context,
    repo: &Repo,
    commits: &[Checksum],
    problems: &mut [Problem],
) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let index: HashMap<ObjectName, usize> =
        problems.iter().enumerate().map(|(index, problem)| (problem.object, index)).collect();
    for commit in commits {
        ctx.check()?;
        let (mut seen, mut has) = (HashSet::new(), HashSet::new());
        walk(repo, commit, &mut |object, _| {
            has.extend(index.get(&object).copied());
            seen.insert(object)
        })?;
        for index in has {
            if let Some(problem) = problems.get_mut(index) {
                problem.commits.push(*commit);
            }
        }
    }
    Ok(())
}

/// Calls `visit` for each object of a commit with whether it could be found if it had to be read.
/// What `visit` has seen before (`false`) is not entered.
fn walk(
    repo: &Repo,
    commit: &Checksum,
    visit: &mut dyn FnMut(ObjectName, bool) -> bool,
) -> Result<()> {
    let name = ObjectName::new;
    let Some((commit_object, _)) = readable(repo.load_commit(commit))? else {
        visit(name(*commit, ObjectType::Commit), true);
        return Ok(());
    };
    visit(name(*commit, ObjectType::Commit), true);
    visit(name(commit_object.root_dirmeta, ObjectType::DirMeta), true);
    let mut pending = vec![commit_object.root_dirtree];
    while let Some(tree) = pending.pop() {
        let object = name(tree, ObjectType::DirTree);
        let is_here = repo.has_object(&object)?;
        if !visit(object, is_here) || !is_here {
            continue;
        }
        let Some(tree) = readable(repo.load_dirtree(&tree))? else { continue };
        for file in tree.files.values() {
            visit(name(*file, ObjectType::File), true);
        }
        for dir in tree.dirs.values() {
            visit(name(dir.dirmeta, ObjectType::DirMeta), true);
            pending.push(dir.dirtree);
        }
    }
    Ok(())
}

/// `None` for an object that cannot be understood; the check of each object reports it.
fn readable<T>(loaded: Result<T>) -> Result<Option<T>> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(Error::NoSuchObject(_)) => Ok(None),
        Err(error) if error.is_corruption() => Ok(None),
        Err(error) => Err(error),
    }
}
