//! Temporary files count too: a pull never touches the room that is to stay free.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_error::{Classify, Kind};
use updraft_http::testing::Server;
use updraft_ostree::RepoMode;
use updraft_ostree::delta::DeltaName;
use updraft_repo::Repo;
use updraft_repo::delta::{GenerateOptions, Target, generate, list};
use updraft_repo::pull::{self, Deltas, Error, PullOptions};
use updraft_task::Context;

use crate::peer;
use crate::world::{World, http, noise, options, pull, text, write};

const LARGE: usize = 20 << 20;

/// A file system of 64 MiB.
struct Small(PathBuf);

impl Small {
    fn new(world: &World) -> Self {
        let folder = world.path("small");
        std::fs::create_dir(&folder).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        run(Command::new("mount").args(mount).arg(&folder));
        Self(folder)
    }

    /// A repository that leaves this much free.
    fn repo(&self, name: &str, mode: RepoMode, keep: &str) -> Repo {
        let repo = Repo::init(self.0.join(name), mode, &updraft_repo::InitOptions::default());
        let repo = repo.unwrap();
        repo.edit_config(|file| file.set("core", "min-free-space-size", keep)).unwrap();
        repo
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

#[track_caller]
fn refused(error: &Error, keep: &str) {
    assert_eq!(error.kind(), Kind::Exhausted, "{}", text(error));
    let peers = format!("min-free-space-size {keep} would be exceeded, at least ");
    assert!(text(error).contains(&peers), "{}", text(error));
    assert!(text(error).ends_with("bytes requested"), "{}", text(error));
}

/// What temporary files take.
fn kept(repo: &Repo) -> u64 {
    let tmp = std::fs::read_dir(repo.path().join("tmp")).unwrap().flatten();
    let partial = tmp.filter(|entry| entry.file_name().to_string_lossy().starts_with("partial-"));
    partial.map(|entry| entry.metadata().unwrap().len()).sum()
}

#[test]
fn a_large_object_is_refused_before_it_is_written() {
    let world = World::new();
    write(&world.path("tree/large"), &noise(LARGE));
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive);
    let small = Small::new(&world);
    // 64 MiB less these: the file does not fit, it fits but not what is made of it, both fit.
    for mode in [RepoMode::BareUser, RepoMode::Archive] {
        for (number, keep) in ["50MB", "30MB"].into_iter().enumerate() {
            let repo = small.repo(&format!("{mode}{number}"), mode, keep);
            let error = pull(&repo, &http(&server.url()), &["main"]).unwrap_err();
            refused(&error, keep);
            assert_eq!(kept(&repo), 0);
            assert!(repo.refs().unwrap().is_empty());
            std::fs::remove_dir_all(repo.path()).unwrap();
        }
        let repo = small.repo(&format!("{mode}"), mode, "10MB");
        pull(&repo, &http(&server.url()), &["main"]).unwrap();
        assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), commit.to_string());
        assert_eq!(kept(&repo), 0);
        std::fs::remove_dir_all(repo.path()).unwrap();
    }
    // The peer refuses in the same words.
    let repo = small.repo("peer", RepoMode::BareUser, "50MB");
    peer::ok(repo.path(), &["remote", "add", "--no-gpg-verify", "origin", &server.url()]);
    let output = peer::run(repo.path(), &["pull", "origin", "main"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("min-free-space-size 50MB would be exceeded, at least "), "{said}");
}

/// An archive with a large file that comes by a delta.
fn with_delta(world: &World) -> (PathBuf, String) {
    let (archive, old) = world.archive("archive");
    write(&world.path("tree/large"), &noise(LARGE));
    let new = peer::commit(&archive, "main", &world.path("tree"), 1_700_000_100);
    let (from, to) = (format!("--from={old}"), format!("--to={new}"));
    let generate = ["static-delta", "generate", "--min-fallback-size=0", &from, &to];
    peer::ok(&archive, &generate);
    peer::ok(&archive, &["static-delta", "reindex"]);
    (archive, old.to_string())
}

fn by_delta(repo: &Repo, archive: &Path, old: &str) -> Result<(), Error> {
    let server = Server::files(archive);
    pull(repo, &http(&server.url()), &[&format!("main@{old}")])?;
    let options = PullOptions { deltas: Deltas::Require, ..options(&["main"]) };
    pull::pull(&Context::silent(), repo, &http(&server.url()), &options).map(drop)
}

#[test]
fn a_part_of_a_delta_is_refused_before_it_is_written() {
    let world = World::new();
    let (archive, old) = with_delta(&world);
    let small = Small::new(&world);
    // The part does not fit, it fits but not unpacked, it fits unpacked but not what it makes.
    for (number, keep) in ["50MB", "30MB", "10MB"].into_iter().enumerate() {
        let repo = small.repo(&format!("repo{number}"), RepoMode::BareUser, keep);
        let error = by_delta(&repo, &archive, &old).unwrap_err();
        refused(&error, keep);
        assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), old);
        peer::fsck(repo.path());
        std::fs::remove_dir_all(repo.path()).unwrap();
    }
    let repo = small.repo("repo", RepoMode::BareUser, "1MB");
    by_delta(&repo, &archive, &old).unwrap();
    peer::fsck(repo.path());
    assert_eq!(kept(&repo), 0);
}

#[test]
fn what_nobody_goes_on_with_makes_room_before_a_pull() {
    let world = World::new();
    write(&world.path("tree/large"), &noise(10 << 20));
    let (archive, _) = world.archive("archive");
    let server = Server::files(archive);
    let small = Small::new(&world);
    let repo = small.repo("repo", RepoMode::BareUser, "25MB");
    let names = ["filez", "part"].map(|end| format!("tmp/partial-{}.{end}", "0a".repeat(32)));
    for name in names.iter().map(String::as_str).chain(["tmp/.updraft-tmp-1-1"]) {
        write(&repo.path().join(name), &noise(11 << 20));
    }
    let error = pull(&repo, &http(&server.url()), &["main"]).unwrap_err();
    refused(&error, "25MB");
    assert!(names.iter().all(|name| repo.path().join(name).exists()));
    for name in names.iter().map(String::as_str).chain(["tmp/.updraft-tmp-1-1"]) {
        run(Command::new("touch").args(["-d", "2 days ago"]).arg(repo.path().join(name)));
    }
    pull(&repo, &http(&server.url()), &["main"]).unwrap();
    assert_eq!(kept(&repo), 0);
}

#[test]
fn a_delta_is_made_within_the_room_that_there_is() {
    let world = World::new();
    let bytes = noise(8 << 20);
    for (number, part) in bytes.chunks(512 << 10).enumerate() {
        write(&world.path(&format!("tree/{number}")), part);
    }
    let (archive, commit) = world.archive("archive");
    let small = Small::new(&world);
    let repo = small.repo("repo", RepoMode::BareUser, "1MB");
    pull(&repo, &http(&Server::files(archive).url()), &["main"]).unwrap();
    let options = GenerateOptions { min_fallback_size: 0, ..GenerateOptions::default() };
    // What goes into a part takes 8 MiB, and each thread at times half of one more; then there is room
    // for some 7 of the 8 that it becomes.
    let name = DeltaName::new(None, commit);
    repo.edit_config(|file| file.set("core", "min-free-space-size", "41MB")).unwrap();
    let error = generate(&Context::silent(), &repo, &name, 0, &options).unwrap_err();
    refused(&error.into(), "41MB");
    assert!(list(&repo).unwrap().is_empty());
    let left = std::fs::read_dir(repo.path().join("tmp")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).filter(|name| name != "cache").collect();
    assert!(left.is_empty(), "{left:?}");
    // Elsewhere it may be as large as it likes.
    let target = Target::File(world.path("elsewhere"));
    let elsewhere = GenerateOptions { min_fallback_size: 0, target, ..GenerateOptions::default() };
    generate(&Context::silent(), &repo, &name, 0, &elsewhere).unwrap();
}
