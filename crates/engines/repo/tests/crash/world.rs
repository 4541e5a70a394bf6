//! What each operation works on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use updraft_http::testing::Server;
use updraft_ostree::delta::{DeltaFormat, DeltaName};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::Repo;
use updraft_repo::commit::{CommitOptions, TreeSource, commit};
use updraft_repo::delta::{GenerateOptions, generate};
use updraft_repo::pull::{PullOptions, Source, pull};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_task::Context;

use crate::work::Work;

/// A folder with a repository `before`, of which `repo` is a copy to be killed in.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) work: Work,
    server: Server,
    /// The commits that `main` may name afterwards: as before, and as it should.
    pub(crate) old: Checksum,
    pub(crate) new: Checksum,
}

impl World {
    pub(crate) fn new(work: Work) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let root = folder.path();
        let (ctx, tree) = (Context::silent(), root.join("tree"));
        let source = init(&root.join("source"), "archive", "");
        plant(&tree);
        let old = commit_tree(&source, &tree, 1_700_000_000);
        grow(&tree);
        let new = commit_tree(&source, &tree, 1_700_000_100);
        let name = DeltaName::new(Some(old), new);
        // A pull takes the delta of our own format; applied offline is the other.
        for format in DeltaFormat::ALL {
            let name = name.in_format(format);
            generate(&ctx, &source, &name, 0, &GenerateOptions::default()).unwrap();
        }
        summary::update(&ctx, &source, 0, &SummaryOptions::default()).unwrap();

        let more = if work == Work::Summary { "collection-id=org.example.Os\n" } else { "" };
        let before = init(&root.join("before"), work.mode(), more);
        let all = matches!(
            work,
            Work::Generate | Work::Prune | Work::Summary | Work::Alias | Work::Checkout(_)
        );
        let at = if all { new } else { old };
        let options = PullOptions {
            refs: vec![format!("main@{at}")],
            depth: updraft_repo::pull::Depth::All,
            ..PullOptions::default()
        };
        pull(&ctx, &before, &Source::Local(source.clone()), &options).unwrap();
        if matches!(work, Work::Prune | Work::Summary) {
            let options = GenerateOptions::default();
            for name in [name, DeltaName::new(None, old)] {
                generate(&ctx, &before, &name, 0, &options).unwrap();
            }
        }
        let old = if all { new } else { old };
        let server = Server::files(source.path());
        let world = Self { folder, work, server, old, new };
        world.restore();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn repo(&self) -> Repo {
        Repo::open(self.path("repo")).unwrap()
    }

    /// Where the work gets what it needs.
    pub(crate) fn source(&self) -> String {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        match self.work {
            Work::Commit(_) => text(self.path("tree")),
            Work::PullLocal(_) => text(self.path("source")),
            Work::PullHttp(_) | Work::PullDelta => self.server.url(),
            Work::Apply => {
                let name = DeltaName::new(Some(self.old), self.new);
                text(self.path("source").join(name.path()))
            }
            Work::Generate | Work::Prune | Work::Summary | Work::Alias | Work::Checkout(_) => {
                self.new.to_string()
            }
        }
    }

    /// Makes `repo` as it was.
    pub(crate) fn restore(&self) {
        let repo = self.path("repo");
        for made in [&repo, &self.path("out")] {
            drop(fs::remove_dir_all(made));
        }
        let mut cp = Command::new("cp");
        cp.args(["--archive", "--no-target-directory"]).arg(self.path("before")).arg(repo);
        assert!(cp.status().unwrap().success());
    }
}

/// A repository that waits for no disk: a kill loses nothing that was written.
fn init(path: &Path, mode: &str, more: &str) -> Repo {
    let dirs =
        ["tmp", "extensions", "state", "refs/heads", "refs/mirrors", "refs/remotes", "objects"];
    for dir in dirs {
        fs::create_dir_all(path.join(dir)).unwrap();
    }
    let mode = mode.parse::<RepoMode>().unwrap();
    let mode = mode.as_str();
    let config = format!(
        "[core]\nrepo_version=1\nmode={mode}\nmin-free-space-size=1MB\nfsync=false\n{more}"
    );
    fs::write(path.join("config"), config).unwrap();
    Repo::open(path).unwrap()
}

fn commit_tree(repo: &Repo, tree: &Path, timestamp: u64) -> Checksum {
    let options = CommitOptions {
        branch: Some("main".parse().unwrap()),
        subject: "A subject".to_owned(),
        timestamp,
        ..CommitOptions::default()
    };
    let tree = TreeSource::Directory(tree.to_owned());
    commit(&Context::silent(), repo, &[tree], &options).unwrap().checksum
}

fn plant(root: &Path) {
    for dir in ["a/deep", "b"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::write(root.join("a/file"), text(7, 2000)).unwrap();
    fs::write(root.join("a/deep/gone"), text(11, 50)).unwrap();
    fs::write(root.join("b/stays"), "stays\n").unwrap();
    symlink("file", root.join("a/link")).unwrap();
}

fn grow(root: &Path) {
    fs::write(root.join("a/file"), text(7, 2000).replace("12", "twelve")).unwrap();
    fs::remove_file(root.join("a/deep/gone")).unwrap();
    fs::create_dir(root.join("c")).unwrap();
    fs::write(root.join("c/new"), text(13, 100)).unwrap();
    fs::write(root.join("c/other"), "other\n").unwrap();
    symlink("../a/file", root.join("c/new-link")).unwrap();
}

fn text(seed: u32, lines: u32) -> String {
    let lines: Vec<_> =
        (0..lines).map(|line| format!("{} {}\n", line * seed, line ^ seed)).collect();
    lines.concat()
}
