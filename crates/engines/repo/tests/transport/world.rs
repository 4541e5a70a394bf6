//! Folders, trees and repositories of the tests.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_http::{Client, ClientOptions, Timeouts};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::pull::{self, PullOptions, PullStats, Source};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;

use crate::peer;

/// A folder with a tree.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir_in("/var/tmp").expect("a folder") };
        world.fill("tree", 40);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a tree of `files` files with directories, links, modes and owners.
    pub(crate) fn fill(&self, name: &str, files: usize) {
        let root = self.path(name);
        std::fs::create_dir_all(root.join("empty")).expect("a folder");
        for number in 0..files {
            let dir = root.join(format!("dir{}", number % 7));
            std::fs::create_dir_all(&dir).expect("a folder");
            let file = dir.join(format!("file{number}"));
            write(&file, format!("content {number}\n").repeat(number * 10).as_bytes());
            let mode = if number % 5 == 0 { 0o755 } else { 0o640 };
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))
                .expect("a file of ours");
        }
        if !root.join("dir0/link").is_symlink() {
            symlink("../dir1/file1", root.join("dir0/link")).expect("a free name");
        }
        std::os::unix::fs::chown(root.join("dir0/file0"), Some(1000), Some(100)).expect("root");
    }

    /// An archive repository of the peer with the tree on `main`; its commit.
    pub(crate) fn archive(&self, name: &str) -> (PathBuf, Checksum) {
        let path = self.path(name);
        peer::init(&path, "archive");
        let commit = peer::commit(&path, "main", &self.path("tree"), 1_700_000_000);
        (path, commit.parse().expect("a checksum"))
    }

    pub(crate) fn repo(&self, name: &str, mode: RepoMode) -> Repo {
        let repo = Repo::init(self.path(name), mode, &InitOptions::default()).expect("a new one");
        // Tests run on small disks too.
        repo.edit_config(|file| file.set("core", "min-free-space-size", "1MB")).expect("a config");
        repo
    }
}

#[allow(clippy::disallowed_methods)]
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a folder of ours");
}

/// A client that gives up soon.
pub(crate) fn client() -> Client {
    let options = ClientOptions {
        retry_pause: Duration::from_millis(1),
        retries: 2,
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(20),
            read: Duration::from_secs(20),
        },
        ..ClientOptions::default()
    };
    Client::new(&options).expect("valid options")
}

pub(crate) fn http(url: &str) -> Source {
    Source::Http { client: client(), url: url.to_owned() }
}

pub(crate) fn options(refs: &[&str]) -> PullOptions {
    let refs = refs.iter().map(|name| (*name).to_owned()).collect();
    PullOptions { refs, ..PullOptions::default() }
}

pub(crate) fn pull(repo: &Repo, source: &Source, refs: &[&str]) -> Result<PullStats, pull::Error> {
    pull::pull(&Context::silent(), repo, source, &options(refs))
}

/// The object files below `objects/`, relative to it.
pub(crate) fn object_files(repo: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(repo.join("objects")).expect("a repository") {
        let folder = folder.expect("an entry");
        for file in std::fs::read_dir(folder.path()).expect("a folder") {
            let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
            files.push(format!("{}/{}", name(&folder), name(&file.expect("an entry"))));
        }
    }
    files.sort();
    files
}

/// All of an error and its causes.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
