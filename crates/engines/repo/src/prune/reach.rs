//! What commits refer to.

use std::collections::HashSet;

use updraft_ostree::{Checksum, Commit, ObjectName, ObjectType};
use updraft_task::Context;

use super::Scope;
use crate::pull::Depth;
use crate::{CommitState, Error, Repo, Result};

/// Names of objects that are referred to.
#[derive(Debug)]
pub(super) struct Reachable {
    scope: Scope,
    /// Commits whose own tree is in; with the depth, since the same one may be wanted deeper.
    commits: HashSet<Checksum>,
    trees: HashSet<Checksum>,
    metas: HashSet<Checksum>,
    files: HashSet<Checksum>,
}

impl Reachable {
    pub(super) fn new(scope: Scope) -> Self {
        let empty = HashSet::new;
        Self { scope, commits: empty(), trees: empty(), metas: empty(), files: empty() }
    }

    pub(super) fn contains(&self, name: &ObjectName) -> bool {
        match name.object_type {
            ObjectType::Commit => self.commits.contains(&name.checksum),
            ObjectType::DirTree => self.trees.contains(&name.checksum),
            ObjectType::DirMeta => self.metas.contains(&name.checksum),
            ObjectType::File => self.files.contains(&name.checksum),
            // Go with their commit.
            ObjectType::TombstoneCommit | ObjectType::CommitMeta => true,
        }
    }

    pub(super) fn commits(&self) -> impl Iterator<Item = &Checksum> {
        self.commits.iter()
    }

    /// Adds a commit and its parents. One that is not there adds nothing.
    pub(super) fn add_commit(
        &mut self,
        ctx: &Context,
        repo: &Repo,
        commit: Checksum,
        mut depth: Depth,
    ) -> Result<()> {
        let mut next = Some(commit);
        while let Some(checksum) = next {
            let Some((commit, state)) = load(repo, &checksum)? else { return Ok(()) };
            self.add_one(ctx, repo, checksum, &commit, state)?;
            next = match depth {
                Depth::All => commit.parent,
                Depth::Parents(0) => None,
                Depth::Parents(left) => {
                    depth = Depth::Parents(left - 1);
                    commit.parent
                }
            };
        }
        Ok(())
    }

    /// Adds a commit, and its parents as far as they are not older than `oldest`.
    pub(super) fn add_younger(
        &mut self,
        ctx: &Context,
        repo: &Repo,
        tip: Checksum,
        oldest: u64,
    ) -> Result<()> {
        let mut next = Some(tip);
        while let Some(checksum) = next {
            let Some((commit, state)) = load(repo, &checksum)? else { return Ok(()) };
            if checksum != tip && commit.timestamp < oldest {
                return Ok(());
            }
            self.add_one(ctx, repo, checksum, &commit, state)?;
            next = commit.parent.filter(|_| commit.timestamp >= oldest);
        }
        Ok(())
    }

    fn add_one(
        &mut self,
        ctx: &Context,
        repo: &Repo,
        checksum: Checksum,
        commit: &Commit,
        state: CommitState,
    ) -> Result<()> {
        ctx.check()?;
        if !self.commits.insert(checksum) || self.scope == Scope::Commits {
            return Ok(());
        }
        self.metas.insert(commit.root_dirmeta);
        let mut pending = vec![commit.root_dirtree];
        while let Some(tree) = pending.pop() {
            if self.trees.contains(&tree) {
                continue;
            }
            match repo.load_dirtree(&tree) {
                Ok(dirtree) => {
                    self.files.extend(dirtree.files.values());
                    self.metas.extend(dirtree.dirs.values().map(|dir| dir.dirmeta));
                    pending.extend(dirtree.dirs.values().map(|dir| dir.dirtree));
                }
                // A partial commit keeps what there is of it.
                Err(Error::NoSuchObject(_)) if state.is_partial() => continue,
                Err(error) => return Err(error),
            }
            self.trees.insert(tree);
        }
        Ok(())
    }
}

fn load(repo: &Repo, checksum: &Checksum) -> Result<Option<(Commit, CommitState)>> {
    match repo.load_commit(checksum) {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoSuchObject(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
