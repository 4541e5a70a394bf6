//! The tree that is damaged, in two states, and a repository with both.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;
use updraft_ostree::Checksum;
use updraft_repo::Repo;
use updraft_repo::commit::{CommitOptions, TreeSource, commit};
use updraft_task::Context;

use crate::ops;

/// A folder with a repository `source`, whose `main` has two commits.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) source: Repo,
    pub(crate) old: Checksum,
    pub(crate) new: Checksum,
}

impl World {
    pub(crate) fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let root = folder.path().join("tree");
        for dir in ["a/deep", "b", "empty"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        file(&root, "a/large", &text(7, 3000), 0o644);
        file(&root, "a/deep/tool", &text(11, 1000), 0o755);
        file(&root, "b/small", "a few bytes\n", 0o644);
        packed(&root, "b/notes.gz", &text(17, 2000));
        symlink("large", root.join("a/link")).unwrap();
        symlink("/somewhere/else", root.join("b/other-link")).unwrap();
        let source = ops::init(&folder.path().join("source"), mode);
        let old = ops_commit(&source, &root, 1_700_000_000);
        fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o750)).unwrap();
        file(&root, "a/large", &text(7, 3000).replace("12", "twelve"), 0o644);
        file(&root, "b/new", &text(13, 500), 0o644);
        packed(&root, "b/notes.gz", &text(17, 2000).replace("34", "thirty-four"));
        let new = ops_commit(&source, &root, 1_700_000_100);
        Self { folder, source, old, new }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn ops_commit(repo: &Repo, tree: &Path, timestamp: u64) -> Checksum {
    let options = CommitOptions {
        branch: Some("main".parse().unwrap()),
        subject: "A subject".to_owned(),
        timestamp,
        ..CommitOptions::default()
    };
    let tree = TreeSource::Directory(tree.to_owned());
    commit(&Context::silent(), repo, &[tree], &options).unwrap().checksum
}

fn file(root: &Path, name: &str, content: &str, mode: u32) {
    let path = root.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A file as gzip makes it.
fn packed(root: &Path, name: &str, content: &str) {
    let file = fs::File::create(root.join(name)).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

fn text(seed: u32, lines: u32) -> String {
    let lines: Vec<_> =
        (0..lines).map(|line| format!("{} {}\n", line * seed, line ^ seed)).collect();
    lines.concat()
}
