//! The writers' repositories: each with two commits and the delta between them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use updraft_http::testing::Server;
use updraft_ostree::Checksum;

use crate::cell::{Cell, MODES, Side, Signed};
use crate::keys::Keys;
use crate::{ours, peer, tree};

/// When the commits are made, in seconds since 1970.
const TIMES: [u64; 2] = [1_700_000_000, 1_700_000_100];

/// What decides which repository a cell reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    writer: Side,
    mode: &'static str,
    is_canonical: bool,
    signed: Signed,
}

/// A writer's repository.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) old: Checksum,
    pub(crate) new: Checksum,
    /// What the peer lists of the second commit.
    pub(crate) listing: String,
    server: Server,
}

impl Source {
    pub(crate) fn http_url(&self) -> String {
        self.server.url()
    }
}

/// All writers' repositories, and a folder for the readers'.
pub(crate) struct Sources {
    folder: TempDir,
    pub(crate) keys: Keys,
    all: HashMap<Key, Source>,
}

impl Sources {
    /// Writes them all; both writers must make the very same commits.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let mut sources = Self { folder, keys: Keys::new(), all: HashMap::new() };
        for (name, is_canonical) in [("rich", false), ("canonical", true)] {
            let trees = [sources.path(&format!("{name}-0")), sources.path(&format!("{name}-1"))];
            tree::plant(&trees[0], is_canonical);
            copy(&trees[0], &trees[1]);
            tree::grow(&trees[1]);
            let mut commits = Vec::new();
            for mode in MODES.into_iter().filter(|mode| is_canonical || *mode != "bare-user-only") {
                for writer in [Side::Ours, Side::Theirs] {
                    let key = Key { writer, mode, is_canonical, signed: Signed::No };
                    commits.push((key, sources.write(key, &trees)));
                }
            }
            for (key, made) in &commits {
                assert_eq!(*made, commits[0].1, "{key:?} and {:?}", commits[0].0);
            }
        }
        sources
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The repository that a cell reads.
    pub(crate) fn of(&self, cell: &Cell) -> &Source {
        let &Cell { writer, from: mode, signed, .. } = cell;
        &self.all[&Key { writer, mode, is_canonical: cell.is_canonical(), signed }]
    }

    /// Writes a repository, and a signed copy of it.
    fn write(&mut self, key: Key, trees: &[PathBuf; 2]) -> [Checksum; 2] {
        let Key { writer, mode, is_canonical, .. } = key;
        let name = format!("from-{writer:?}-{mode}-{is_canonical}");
        let path = self.path(&name);
        let commits = match writer {
            Side::Ours => ours::write(&path, mode, trees, TIMES),
            Side::Theirs => write_theirs(&path, mode, trees),
        };
        let signed = self.path(&format!("{name}-signed"));
        copy(&path, &signed);
        for commit in &commits {
            match writer {
                Side::Ours => ours::sign(&signed, commit, &self.keys),
                Side::Theirs => {
                    let home = format!("--gpg-homedir={}", self.keys.home().display());
                    let commit = commit.to_string();
                    peer::ok(&signed, &["gpg-sign", &home, &commit, &self.keys.fingerprint]);
                }
            }
        }
        for (path, signed) in [(path, Signed::No), (signed, Signed::Gpg)] {
            // After the signatures, so that the delta brings them.
            match writer {
                Side::Ours => ours::finish(&path, commits),
                Side::Theirs => {
                    peer::ok(&path, &["static-delta", "generate", "main"]);
                    peer::ok(&path, &["static-delta", "generate", "--empty", "main"]);
                    peer::ok(&path, &["summary", "--update"]);
                }
            }
            let [old, new] = commits;
            let listing = peer::ok(&path, &["ls", "-RCX", "main"]);
            let server = Server::files(&path);
            let source = Source { path, old, new, listing, server };
            self.all.insert(Key { signed, ..key }, source);
        }
        commits
    }
}

fn write_theirs(path: &Path, mode: &str, trees: &[PathBuf; 2]) -> [Checksum; 2] {
    peer::ok(path, &["init", &format!("--mode={mode}")]);
    let commit = |number: usize| {
        let time = format!("--timestamp=@{}", TIMES[number]);
        let tree = format!("--tree=dir={}", trees[number].display());
        let subject = "--subject=A subject";
        peer::ok(path, &["commit", "--branch=main", &time, subject, &tree]).parse().unwrap()
    };
    [commit(0), commit(1)]
}

/// Copies a folder with all attributes.
fn copy(from: &Path, to: &Path) {
    let mut cp = Command::new("cp");
    cp.args(["--archive", "--no-target-directory"]).args([from, to]);
    assert!(cp.status().unwrap().success());
}
