//! Deltas of our own format: whatever is in a tree arrives bit for bit, in as few requests as may
//! be, and what was fetched before a failure is not fetched again.
//!
//! Needs root, gzip and Debian's `ostree`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use updraft_http::testing::{Answer, Server};
use updraft_http::{Client, ClientOptions};
use updraft_ostree::delta::{DeltaFormat, DeltaName, Superblock};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::commit::{CommitOptions, TreeSource, commit};
use updraft_repo::delta::{
    ApplyOptions, GenerateOptions, Generated, Location, apply_offline, generate,
};
use updraft_repo::fsck::{FsckOptions, fsck};
use updraft_repo::pull::{Deltas, PullOptions, Source, pull};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;

/// A published archive with two commits of `main`.
struct World {
    folder: TempDir,
    repo: Repo,
    old: Checksum,
    new: Checksum,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("doc/deep")).unwrap();
        let repo = init(&folder.path().join("repo"), RepoMode::Archive);
        plant(&tree, 1);
        let old = save(&repo, &tree, 1);
        plant(&tree, 2);
        let new = save(&repo, &tree, 2);
        Self { folder, repo, old, new }
    }

    fn name(&self, format: DeltaFormat) -> DeltaName {
        DeltaName::new(Some(self.old), self.new).in_format(format)
    }

    fn generate(&self, name: &DeltaName, options: &GenerateOptions<'_>) -> Generated {
        let made = generate(&Context::silent(), &self.repo, name, 0, options).unwrap();
        summary::update(&Context::silent(), &self.repo, 0, &SummaryOptions::default()).unwrap();
        made
    }

    /// A repository with the old commit.
    fn receiver(&self, name: &str, mode: RepoMode) -> Repo {
        let repo = init(&self.folder.path().join(name), mode);
        let from = Source::Local(self.repo.clone());
        let refs = vec![format!("main@{}", self.old)];
        let options = PullOptions { refs, ..PullOptions::default() };
        pull(&Context::silent(), &repo, &from, &options).unwrap();
        repo
    }

    fn check(&self, repo: &Repo) {
        assert!(!repo.commit_state(&self.new).unwrap().is_partial());
        assert!(repo.load_commit(&self.new).is_ok());
        let report = fsck(&Context::silent(), repo, &FsckOptions::default()).unwrap();
        assert!(report.problems.is_empty());
        let left: Vec<_> = fs::read_dir(repo.path().join("tmp")).unwrap().collect();
        let parts = left.iter().flatten().filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with("partial-"))
        });
        assert_eq!(parts.count(), 0, "no part of a delta is left");
    }
}

fn init(path: &Path, mode: RepoMode) -> Repo {
    let repo = Repo::init(path, mode, &InitOptions::default()).unwrap();
    let config = fs::read_to_string(path.join("config")).unwrap();
    fs::write(path.join("config"), format!("{config}fsync=false\nmin-free-space-size=1MB\n"))
        .unwrap();
    drop(repo);
    Repo::open(path).unwrap()
}

fn save(repo: &Repo, tree: &Path, timestamp: u64) -> Checksum {
    let branch = Some("main".parse().unwrap());
    let options = CommitOptions { branch, timestamp, ..CommitOptions::default() };
    let tree = TreeSource::Directory(tree.to_owned());
    commit(&Context::silent(), repo, &[tree], &options).unwrap().checksum
}

fn noise(length: usize, mut state: u64) -> Vec<u8> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn text(version: u64, lines: u64) -> Vec<u8> {
    let line = |n: u64| {
        format!("{n}: {} of version {}\n", n * n % 1013, if n % 50 == 7 { version } else { 0 })
    };
    (0..lines).flat_map(|n| line(n).into_bytes()).collect()
}

/// Packs a file as Debian packs its documentation.
fn gzip(path: &Path, content: &[u8], level: &str) {
    let plain = path.with_extension("");
    fs::write(&plain, content).unwrap();
    let packed = Command::new("gzip").args(["-n", "-f", level]).arg(&plain).status();
    assert!(packed.expect("the Debian package gzip is installed").success());
}

/// All kinds of files, and all ways in which they change.
fn plant(tree: &Path, version: u64) {
    let put = |name: &str, bytes: &[u8]| fs::write(tree.join(name), bytes).unwrap();
    put("text", &text(version, 3000));
    put("empty", b"");
    put("small", format!("version {version}").as_bytes());
    put(&format!("library-{version}.so"), &[&noise(40_000, 1)[..], &noise(80, version)].concat());
    // Every address has moved: a byte differs every now and then, in many places.
    let mut program = noise(3 << 20, 7);
    for at in (0..program.len()).step_by(700) {
        program[at] = program[at].wrapping_add(u8::try_from(version).unwrap());
    }
    put("program", &program);
    put("other", &noise(30_000, 10 + version));
    gzip(&tree.join("doc/changelog.gz"), &text(version, 40_000), "-9");
    gzip(&tree.join("doc/fast.gz"), &text(version, 5000), "-1");
    put("doc/broken.gz", &[&[0x1f, 0x8b, 8, 0][..], &noise(5000, version)].concat());
    let link = tree.join("doc/deep/link");
    drop(fs::remove_file(&link));
    symlink(format!("to-{version}"), link).unwrap();
    if version == 2 {
        gzip(&tree.join("doc/deep/new.gz"), &text(9, 3000), "-9");
        // What was plain is packed now, and the other way round.
        gzip(&tree.join("doc/turned.gz"), &text(5, 3000), "-9");
        drop(fs::remove_file(tree.join("library-1.so")));
    } else {
        put("doc/turned", &text(5, 3000));
    }
}

fn source(url: &str) -> Source {
    let pause = std::time::Duration::from_millis(1);
    let options = ClientOptions { retry_pause: pause, retries: 0, ..ClientOptions::default() };
    Source::Http { client: Client::new(&options).unwrap(), url: url.to_owned() }
}

fn pull_main(repo: &Repo, url: &str, deltas: Deltas) -> Result<(), updraft_repo::pull::Error> {
    let options = PullOptions { refs: vec!["main".to_owned()], deltas, ..PullOptions::default() };
    pull(&Context::silent(), repo, &source(url), &options).map(drop)
}

#[test]
fn a_tree_of_all_kinds_of_files_arrives_bit_for_bit() {
    let world = World::new();
    let made = world.generate(&world.name(DeltaFormat::Updraft), &GenerateOptions::default());
    assert_eq!(made.fallbacks, 0);
    assert!(made.repacked >= 4, "{made:?}");
    assert!(made.patched >= 3, "{made:?}");
    let server = Server::files(world.repo.path());
    for mode in [RepoMode::Bare, RepoMode::BareUser] {
        let repo = world.receiver(&format!("{mode:?}"), mode);
        let before = server.log().len();
        pull_main(&repo, &server.url(), Deltas::Prefer).unwrap();
        world.check(&repo);
        // Every object came in a part, and no part came twice.
        let mut asked: BTreeMap<String, u32> = BTreeMap::new();
        for path in server.paths().split_off(before) {
            *asked.entry(path).or_default() += 1;
        }
        let objects = asked.keys().filter(|path| path.starts_with("/objects/"));
        let objects: Vec<_> = objects.filter(|path| !path.ends_with(".commitmeta")).collect();
        assert!(objects.is_empty(), "{objects:?}");
        let parts: Vec<_> =
            asked.iter().filter(|(path, _)| path.starts_with("/updraft-deltas/")).collect();
        assert_eq!(parts.len(), made.parts + 1);
        assert!(parts.iter().all(|(_, times)| **times == 1), "{parts:?}");
    }
}

#[test]
fn it_is_smaller_than_a_static_delta_and_preferred_to_one() {
    let world = World::new();
    let theirs = world.generate(&world.name(DeltaFormat::Ostree), &GenerateOptions::default());
    let ours = world.generate(&world.name(DeltaFormat::Updraft), &GenerateOptions::default());
    assert!(ours.size * 10 < theirs.size * 8, "{} and {} bytes", ours.size, theirs.size);
    let server = Server::files(world.repo.path());
    let repo = world.receiver("receiver", RepoMode::BareUser);
    pull_main(&repo, &server.url(), Deltas::Prefer).unwrap();
    world.check(&repo);
    assert!(!server.paths().iter().any(|path| path.starts_with("/deltas/")), "ours is smaller");

    // The peer sees the other one alone, in the summary and in the index.
    let peer = world.receiver("peer", RepoMode::BareUser);
    let (url, path) = (server.url(), format!("--repo={}", peer.path().display()));
    for arguments in [
        vec!["remote", "add", "--no-gpg-verify", "origin", url.as_str()],
        vec!["pull", "--require-static-deltas", "origin", "main"],
        vec!["fsck"],
    ] {
        let said = Command::new("ostree").args(arguments).arg(&path).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
    assert!(server.paths().iter().any(|path| path.starts_with("/deltas/")));
}

#[test]
fn many_parts_without_patches_from_nothing_and_inside_the_superblock() {
    let world = World::new();
    for (number, (from, options)) in [
        (None, GenerateOptions::default()),
        (Some(world.old), GenerateOptions { max_part_size: 20_000, ..GenerateOptions::default() }),
        (Some(world.old), GenerateOptions { patches: false, ..GenerateOptions::default() }),
        (Some(world.old), GenerateOptions { inline: true, ..GenerateOptions::default() }),
    ]
    .into_iter()
    .enumerate()
    {
        let name = DeltaName::new(from, world.new).in_format(DeltaFormat::Updraft);
        let made = world.generate(&name, &options);
        if options.max_part_size == 20_000 {
            assert!(made.parts > 3, "{made:?}");
        }
        let path: PathBuf = world.repo.path().join(name.path());
        let repo = if from.is_some() {
            world.receiver(&format!("receiver {number}"), RepoMode::BareUser)
        } else {
            init(&world.folder.path().join("empty"), RepoMode::BareUser)
        };
        let location = Location::Path(path);
        apply_offline(&Context::silent(), &repo, &location, &ApplyOptions::default()).unwrap();
        world.check(&repo);
    }
}

#[test]
fn a_part_that_came_in_half_is_gone_on_with() {
    let world = World::new();
    let name = world.name(DeltaFormat::Updraft);
    world.generate(&name, &GenerateOptions::default());
    let bytes = fs::read(world.repo.path().join(name.superblock_path())).unwrap();
    let part = Superblock::decode(&bytes).unwrap().parts.remove(0);
    let (root, path) = (world.repo.path().to_owned(), format!("/{}", name.part_path(0)));
    let cuts = Arc::new(AtomicBool::new(true));
    let (cut, cut_path) = (cuts.clone(), path.clone());
    let half = usize::try_from(part.size).unwrap() / 2;
    let server = Server::start(move |exchange| {
        let answer = Answer::file(&root, exchange);
        match answer {
            Answer::Resource(bytes) if exchange.path == cut_path && cut.load(Ordering::Relaxed) => {
                Answer::Cut(bytes, half)
            }
            answer => answer,
        }
    });
    let repo = world.receiver("receiver", RepoMode::BareUser);
    pull_main(&repo, &server.url(), Deltas::Require).unwrap_err();
    let kept = repo.path().join(format!("tmp/partial-{}.part", part.checksum));
    assert_eq!(fs::metadata(&kept).unwrap().len(), half as u64);
    cuts.store(false, Ordering::Relaxed);
    let before = server.log().len();
    pull_main(&repo, &server.url(), Deltas::Require).unwrap();
    world.check(&repo);
    let asked = server.log().split_off(before);
    let asked: Vec<_> = asked.iter().filter(|one| one.path == path).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].range_start(), Some(half), "only the rest is asked for");
}

#[test]
fn a_kept_part_that_is_wrong_is_fetched_anew() {
    let world = World::new();
    let name = world.name(DeltaFormat::Updraft);
    world.generate(&name, &GenerateOptions::default());
    let bytes = fs::read(world.repo.path().join(name.superblock_path())).unwrap();
    let part = Superblock::decode(&bytes).unwrap().parts.remove(0);
    let server = Server::files(world.repo.path());
    let size = usize::try_from(part.size).unwrap();
    for (number, kept) in [vec![7; 100], vec![7; size], vec![7; size + 100]].iter().enumerate() {
        let repo = world.receiver(&format!("receiver {number}"), RepoMode::BareUser);
        let path = repo.path().join(format!("tmp/partial-{}.part", part.checksum));
        fs::write(path, kept).unwrap();
        pull_main(&repo, &server.url(), Deltas::Require).unwrap();
        world.check(&repo);
    }
}

#[test]
fn the_same_commits_make_the_same_delta() {
    let world = World::new();
    let name = world.name(DeltaFormat::Updraft);
    let path = world.repo.path().join(name.path());
    let mut made = Vec::new();
    for _ in 0..2 {
        world.generate(&name, &GenerateOptions::default());
        let mut files: Vec<_> =
            fs::read_dir(&path).unwrap().map(|one| one.unwrap().path()).collect();
        files.sort();
        made.push(files.into_iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>());
    }
    assert!(made[0] == made[1]);
    let said = Command::new("ostree")
        .arg(format!("--repo={}", world.repo.path().display()))
        .args(["static-delta", "list"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert_eq!(
        said.stdout, b"(No static deltas)\n",
        "the peer does not take it for one of its own"
    );
}
