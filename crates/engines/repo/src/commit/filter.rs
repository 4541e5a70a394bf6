//! [`Filter`]: what the options change about each file and directory.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use updraft_ostree::{RepoMode, S_IFDIR, S_IFMT, S_IFREG, Xattrs};

use super::{CommitOptions, ModeChange};
use crate::{Error, Result, Transaction};

/// The permission bits that canonical permissions leave.
const CANONICAL_BITS: u32 = 0o755;

/// Owner, mode and xattrs of something that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Type and permissions.
    pub(super) mode: u32,
    pub(super) xattrs: Xattrs,
}

pub(super) struct Filter<'a> {
    options: &'a CommitOptions,
    canonical: bool,
    no_xattrs: bool,
    /// Paths of both lists that matched.
    matched: Mutex<BTreeSet<String>>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(transaction: &Transaction, options: &'a CommitOptions) -> Self {
        let canonical =
            options.canonical_permissions || transaction.repo().mode() == RepoMode::BareUserOnly;
        let no_xattrs = canonical || options.no_xattrs || transaction.config.disable_xattrs;
        Self { options, canonical, no_xattrs, matched: Mutex::default() }
    }

    /// Whether everything is committed as it is.
    pub(super) fn changes_nothing(&self) -> bool {
        let CommitOptions { owner_uid, owner_gid, mode_ro_executables, .. } = self.options;
        owner_uid.is_none()
            && owner_gid.is_none()
            && !self.canonical
            && !mode_ro_executables
            // Where the configuration forbids xattrs, objects have none either.
            && !self.options.no_xattrs
            && !self.needs_paths()
    }

    /// Whether xattrs are wanted at all.
    pub(super) fn wants_xattrs(&self) -> bool {
        !self.no_xattrs
    }

    /// Whether [`Self::skips`] and [`Self::apply`] look at paths.
    pub(super) fn needs_paths(&self) -> bool {
        !self.options.statoverride.is_empty()
            || !self.options.skip_list.is_empty()
            || self.options.selinux_policy.is_some()
    }

    /// Whether the path is left out, with everything below it.
    pub(super) fn skips(&self, path: &str) -> bool {
        let skipped = self.options.skip_list.contains(path);
        if skipped {
            self.note(path);
        }
        skipped
    }

    fn note(&self, path: &str) {
        self.matched.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    /// Changes what the options say. `path` begins with `/`.
    pub(super) fn apply(&self, path: &str, attributes: &mut Attributes) {
        attributes.uid = self.options.owner_uid.unwrap_or(attributes.uid);
        attributes.gid = self.options.owner_gid.unwrap_or(attributes.gid);
        let kind = attributes.mode & S_IFMT;
        if self.options.mode_ro_executables && kind == S_IFREG && attributes.mode & 0o111 != 0 {
            attributes.mode &= !0o222;
        }
        if let Some(change) = self.options.statoverride.get(path) {
            self.note(path);
            attributes.mode = match change {
                ModeChange::Add(bits) => attributes.mode | bits,
                ModeChange::Set(permissions) => kind | permissions,
            };
        }
        if self.canonical {
            attributes.uid = 0;
            attributes.gid = 0;
            if kind == S_IFREG || kind == S_IFDIR {
                attributes.mode &= kind | CANONICAL_BITS;
            }
        }
        if self.no_xattrs {
            attributes.xattrs = Xattrs::new();
        }
        if let Some(policy) = &self.options.selinux_policy {
            policy.relabel(path, attributes.mode, &mut attributes.xattrs);
        }
    }

    /// Refuses lists with paths that nothing matched: they are probably misspelt.
    pub(super) fn check_all_matched(&self) -> Result<()> {
        let matched = self.matched.lock().unwrap_or_else(PoisonError::into_inner);
        let unmatched = |path: &&String| !matched.contains(*path);
        let adds = self.options.statoverride.iter();
        let adds = adds.filter(|(_, change)| matches!(change, ModeChange::Add(_)));
        let lists = [
            ("statoverride", adds.map(|(path, _)| path).filter(unmatched).cloned().collect()),
            ("skip-list", self.options.skip_list.iter().filter(unmatched).cloned().collect()),
        ];
        for (list, paths) in lists {
            let paths: Vec<String> = paths;
            if !paths.is_empty() {
                return Err(Error::Unmatched { list, paths });
            }
        }
        Ok(())
    }
}
