//! fsck, prune and summary say what the peer says of the same repository.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use updraft_fs::{Dir, LockFile, LockMode};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::Repo;
use updraft_repo::fsck::{FsckOptions, OnCorruption, fsck};
use updraft_repo::prune::{Action, PruneOptions, PruneReport, Roots, prune};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_task::Context;

use crate::peer;
use crate::world::{World, http, object_files, pull, write};

/// Two branches with a history of their own, one unnamed commit.
fn history(world: &World, mode: &str) -> PathBuf {
    let repo = world.path("history");
    peer::init(&repo, mode);
    for (number, branch) in ["a", "a", "a", "b", "b", "gone"].iter().enumerate() {
        write(&world.path("tree/dir1/changing"), format!("{number}").as_bytes());
        peer::commit(&repo, branch, &world.path("tree"), 1000 * (number as u64 + 1));
    }
    peer::ok(&repo, &["refs", "--delete", "gone"]);
    repo
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

fn ours(repo: &Path, options: &PruneOptions) -> PruneReport {
    prune(&Context::silent(), &Repo::open(repo).unwrap(), options).unwrap()
}

#[test]
fn prune_removes_what_the_peer_removes() {
    let refs = PruneOptions { roots: Roots::Refs, ..PruneOptions::default() };
    let shallow = PruneOptions { depth: Some(0), ..refs.clone() };
    let deeper = PruneOptions { depth: Some(1), ..refs.clone() };
    let younger = PruneOptions { keep_younger_than: Some(2500), ..PruneOptions::default() };
    let branch = |depth| PruneOptions {
        branch_depths: [("a".to_owned(), depth)].into(),
        depth: Some(0),
        ..PruneOptions::default()
    };
    let only = PruneOptions {
        only_branches: ["a".to_owned()].into(),
        depth: Some(0),
        ..PruneOptions::default()
    };
    let cases: [(&[&str], PruneOptions); 8] = [
        (&[], PruneOptions::default()),
        (&["--refs-only"], refs),
        (&["--refs-only", "--depth=0"], shallow),
        (&["--refs-only", "--depth=1"], deeper),
        (&["--keep-younger-than=@2500"], younger),
        (&["--depth=0", "--retain-branch-depth=a=1"], branch(Some(1))),
        (&["--depth=0", "--retain-branch-depth=a=-1"], branch(None)),
        (&["--depth=0", "--only-branch=a"], only),
    ];
    for mode in ["bare", "archive"] {
        let world = World::new();
        let repo = history(&world, mode);
        for (number, (arguments, options)) in cases.iter().enumerate() {
            let (mine, theirs) =
                (world.path(&format!("m{number}")), world.path(&format!("t{number}")));
            copy(&repo, &mine);
            copy(&repo, &theirs);
            let dry = PruneOptions { action: Action::Report, ..options.clone() };
            let before = object_files(&mine);
            let expected = ours(&mine, &dry);
            assert_eq!(object_files(&mine), before);
            let done = ours(&mine, options);
            assert_eq!(done, expected);
            let said = peer::ok(&theirs, &[&["prune"], *arguments].concat());
            assert_eq!(object_files(&mine), object_files(&theirs), "{mode} {arguments:?}");
            assert!(said.contains(&format!("Total objects: {}", done.total)), "{said}");
            if done.pruned() > 0 {
                let deleted = format!("Deleted {} objects", done.pruned());
                assert!(said.contains(&deleted), "{said}: {done:?}");
            } else {
                assert!(said.contains("No unreachable objects"), "{said}");
            }
        }
    }
}

#[test]
fn a_commit_is_deleted_with_a_tombstone_as_by_the_peer() {
    let world = World::new();
    let repo = history(&world, "archive");
    let parent = peer::ok(&repo, &["rev-parse", "a^"]);
    let theirs = world.path("theirs");
    copy(&repo, &theirs);
    peer::ok(&theirs, &["prune", &format!("--delete-commit={parent}")]);
    let delete = |commit: &str| PruneOptions {
        delete_commits: vec![commit.parse().unwrap()],
        ..PruneOptions::default()
    };
    ours(&repo, &delete(&parent));
    assert_eq!(object_files(&repo), object_files(&theirs));
    let name = format!("{}/{}.tombstone-commit", &parent[..2], &parent[2..]);
    let read = |root: &Path| std::fs::read(root.join("objects").join(&name)).unwrap();
    assert_eq!(read(&repo), read(&theirs));
    let tip = peer::ok(&repo, &["rev-parse", "a"]);
    let error = prune(&Context::silent(), &Repo::open(&repo).unwrap(), &delete(&tip)).unwrap_err();
    assert_eq!(error.to_string(), format!("Commit '{tip}' is referenced by 'a'"));
}

#[test]
fn pruning_waits_for_whoever_writes() {
    let world = World::new();
    let repo = history(&world, "bare");
    let dir = Dir::open(&repo).unwrap();
    // The peer holds the lock as long as we hold it shared: its prune has to give up.
    peer::ok(&repo, &["config", "set", "core.lock-timeout-secs", "0"]);
    let shared = LockFile::try_acquire(&dir, ".lock", LockMode::Shared).unwrap().unwrap();
    let output = peer::run(&repo, &["prune"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Locking repo exclusive failed"), "{said}");
    let opened = Repo::open(&repo).unwrap();
    let error = prune(&Context::silent(), &opened, &PruneOptions::default()).unwrap_err();
    assert!(crate::world::text(&error).contains("lock"), "{error}");
    // Others may write at the same time, the peer too.
    peer::commit(&repo, "c", &world.path("tree"), 1);
    drop(shared);
    // A program that another test is about to start has our files open until it runs, and with
    // them the lock: whoever has to get it waits for that.
    let patience = Duration::from_mins(1);
    let silent = Context::silent();
    let exclusive =
        LockFile::acquire(&silent, &dir, ".lock", LockMode::Exclusive, patience).unwrap();
    let output = peer::run(&repo, &["commit", "-b", "d", "--tree=ref=c"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Locking repo shared failed"), "{said}");
    assert!(opened.transaction(&Context::silent()).is_err());
    drop(exclusive);
    peer::ok(&repo, &["config", "set", "core.lock-timeout-secs", "60"]);
    ours(&repo, &PruneOptions::default());
}

fn victim(repo: &Path, suffix: &str) -> PathBuf {
    let file = object_files(repo)
        .into_iter()
        .filter(|file| file.ends_with(suffix))
        .max_by_key(|file| repo.join("objects").join(file).symlink_metadata().unwrap().len());
    repo.join("objects").join(file.unwrap())
}

fn check(repo: &Path, on_corruption: OnCorruption) -> updraft_repo::fsck::FsckReport {
    let options = FsckOptions { on_corruption, ..FsckOptions::default() };
    fsck(&Context::silent(), &Repo::open(repo).unwrap(), &options).unwrap()
}

#[test]
fn a_sound_repository_is_found_sound() {
    for mode in ["bare", "bare-user", "archive"] {
        let world = World::new();
        let repo = history(&world, mode);
        let report = check(&repo, OnCorruption::Stop);
        assert!(report.is_clean(), "{report:?}");
        let said = peer::ok(&repo, &["fsck"]);
        let expected = format!("object fsck of {} commits completed", report.commits);
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains(&format!("/{})", report.objects)), "{said} {}", report.objects);
    }
}

#[test]
fn a_missing_object_makes_its_commits_partial_and_a_pull_repairs_them() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = updraft_http::testing::Server::files(archive);
    for suffix in [".file", ".dirtree", ".dirmeta"] {
        let repo = world.repo(&format!("ours{suffix}"), RepoMode::Bare);
        pull(&repo, &http(&server.url()), &["main"]).unwrap();
        std::fs::remove_file(victim(repo.path(), suffix)).unwrap();
        let report = check(repo.path(), OnCorruption::Stop);
        assert_eq!(report.marked_partial, [commit], "{suffix}");
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].to_string().starts_with("Object missing in commits"));
        let state = repo.path().join(format!("state/{commit}.commitpartial"));
        assert_eq!(std::fs::read(&state).unwrap(), b"f");
        let again = check(repo.path(), OnCorruption::Stop);
        assert_eq!((again.commits, again.fsck_partial_commits), (0, 1));
        let said = peer::run(repo.path(), &["fsck"]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("1 partial commits from fsck-detected corruption"), "{said}");
        pull(&repo, &http(&server.url()), &["main"]).unwrap();
        assert!(!state.exists());
        assert!(check(repo.path(), OnCorruption::Stop).is_clean());
        peer::fsck(repo.path());
    }
}

#[test]
fn a_corrupt_object_is_named_kept_or_deleted_as_asked() {
    for (mode, suffix) in [
        ("bare", ".file"),
        ("bare-user", ".file"),
        ("archive", ".filez"),
        ("bare", ".dirtree"),
        ("archive", ".dirmeta"),
        ("bare", ".commit"),
    ] {
        let world = World::new();
        let repo = world.path("repo");
        peer::init(&repo, mode);
        let commit: Checksum = peer::commit(&repo, "main", &world.path("tree"), 1).parse().unwrap();
        let path = victim(&repo, suffix);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        write(&path, &bytes);
        let report = check(&repo, OnCorruption::Continue);
        assert_eq!(report.problems.len(), 1, "{mode} {suffix} {report:?}");
        assert_eq!(report.problems[0].commits, [commit], "{mode} {suffix}");
        assert!(report.marked_partial.is_empty() && path.exists());
        let report = check(&repo, OnCorruption::Delete);
        assert!(report.problems[0].deleted && !path.exists(), "{mode} {suffix}");
        if suffix != ".commit" {
            assert_eq!(report.marked_partial, [commit]);
        }
    }
}

#[test]
fn the_summary_is_what_the_peer_would_write() {
    let world = World::new();
    let repo = history(&world, "archive");
    peer::ok(&repo, &["summary", "--update"]);
    let opened = Repo::open(&repo).unwrap();
    let theirs = summary::read(&opened).unwrap().unwrap();
    let ours =
        summary::update(&Context::silent(), &opened, 1234, &SummaryOptions::default()).unwrap();
    assert_eq!(ours.refs, theirs.refs);
    let names = |summary: &updraft_ostree::Summary| {
        let mut names: Vec<_> = summary.metadata.iter().map(|(key, _)| key.to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&ours), names(&theirs));
    let said = peer::ok(&repo, &["summary", "--view"]);
    assert!(said.contains("* a") && said.contains("Repository Mode"), "{said}");
    assert_eq!(summary::read(&opened).unwrap().unwrap(), ours);
    // Clients of both kinds take it.
    let server = updraft_http::testing::Server::files(&repo);
    let mirror = world.repo("mirror", RepoMode::Bare);
    pull(&mirror, &http(&server.url()), &["a"]).unwrap();
    assert!(server.paths().iter().any(|path| path == "/summary"));
    let peer_repo = world.path("peer");
    peer::init(&peer_repo, "bare");
    peer::ok(&peer_repo, &["remote", "add", "--no-gpg-verify", "o", &server.url()]);
    peer::ok(&peer_repo, &["pull", "o", "b"]);
}
