//! Which object is damaged.

use std::path::{Path, PathBuf};

use updraft_ostree::{Checksum, DirTree};
use updraft_repo::Repo;

/// The kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Symlink,
    DirTree,
    DirMeta,
    Commit,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::File, Self::Symlink, Self::DirTree, Self::DirMeta, Self::Commit];
}

/// An object, and others to put in its place.
pub(crate) struct Victim {
    pub(crate) checksum: Checksum,
    pub(crate) path: PathBuf,
    /// Another of the same kind.
    pub(crate) other: PathBuf,
    /// One of another kind.
    pub(crate) wrong: PathBuf,
}

impl Victim {
    /// The object of this kind that `commit` needs; `before` is the commit before it.
    pub(crate) fn of(repo: &Repo, kind: Kind, commit: &Checksum, before: &Checksum) -> Self {
        let (root, _) = repo.load_commit(commit).unwrap();
        let tree = repo.load_dirtree(&root.root_dirtree).unwrap();
        let dir = |name: &str| tree.dirs.iter().find(|(key, _)| key.as_str() == name).unwrap().1;
        let (a, b) = (dir("a"), dir("b"));
        let inside = |tree: &Checksum| repo.load_dirtree(tree).unwrap();
        let file = |tree: &DirTree, name: &str| {
            *tree.files.iter().find(|(key, _)| key.as_str() == name).unwrap().1
        };
        let (in_a, in_b) = (inside(&a.dirtree), inside(&b.dirtree));
        let content = if repo.mode().as_str() == "archive-z2" { "filez" } else { "file" };
        let (checksum, other, suffix) = match kind {
            Kind::File => (file(&in_a, "large"), file(&in_b, "new"), content),
            Kind::Symlink => (file(&in_a, "link"), file(&in_b, "other-link"), content),
            Kind::DirTree => (a.dirtree, b.dirtree, "dirtree"),
            Kind::DirMeta => (a.dirmeta, dir("empty").dirmeta, "dirmeta"),
            Kind::Commit => (*commit, *before, "commit"),
        };
        let at = |checksum: &Checksum, suffix| path(repo.path(), checksum, suffix);
        let wrong = match kind {
            Kind::DirTree | Kind::File | Kind::Symlink => at(commit, "commit"),
            Kind::DirMeta | Kind::Commit => at(&b.dirtree, "dirtree"),
        };
        let (path, other) = (at(&checksum, suffix), at(&other, suffix));
        Self { checksum, path, other, wrong }
    }

    /// Whether a text names it, by its checksum or its file.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        let sum = self.checksum.to_string();
        text.contains(&sum) || text.contains(&format!("{}/{}", &sum[..2], &sum[2..]))
    }
}

/// The file of an object.
pub(crate) fn path(repo: &Path, checksum: &Checksum, suffix: &str) -> PathBuf {
    let sum = checksum.to_string();
    repo.join("objects").join(&sum[..2]).join(format!("{}.{suffix}", &sum[2..]))
}
