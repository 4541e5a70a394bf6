//! What is demanded of commits, and what is fetched of them.
#![allow(clippy::unwrap_used)]

use updraft_error::{Classify, Kind};
use updraft_http::ClientOptions;
use updraft_http::testing::Server;
use updraft_ostree::{RemoteName, RepoMode};
use updraft_repo::pull::{Bindings, Error, Extent, PullOptions, RemoteConfig, TimestampCheck};
use updraft_task::Context;

use crate::peer;
use crate::world::{World, http, object_files, options};

fn pull(
    repo: &updraft_repo::Repo,
    server: &Server,
    options: &PullOptions,
) -> Result<updraft_repo::pull::PullStats, Error> {
    updraft_repo::pull::pull(&Context::silent(), repo, &http(&server.url()), options)
}

#[test]
fn a_commit_of_another_ref_is_refused() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    peer::ok(&archive, &["refs", "--create=other", "main"]);
    let server = Server::files(archive);
    let repo = world.repo("ours", RepoMode::Bare);
    let error = pull(&repo, &server, &options(&["other"])).unwrap_err();
    assert_eq!(error.kind(), Kind::Rejected);
    let message = "Commit has no requested ref ‘other’ in ref binding metadata (‘main’)";
    assert!(error.to_string().contains(message), "{error}");
    assert!(object_files(repo.path()).is_empty());
    let unbound = PullOptions { bindings: Bindings::Ignore, ..options(&["other"]) };
    assert_eq!(pull(&repo, &server, &unbound).unwrap().refs[0].1, commit);
}

#[test]
fn an_older_commit_is_refused_when_that_is_asked_for() {
    let world = World::new();
    let (archive, old) = world.archive("archive");
    let repo = world.repo("ours", RepoMode::Bare);
    peer::commit(&archive, "main", &world.path("tree"), 1_800_000_000);
    let server = Server::files(archive.clone());
    pull(&repo, &server, &options(&["main"])).unwrap();
    peer::ok(&archive, &["reset", "main", &old.to_string()]);
    let careful = PullOptions { timestamp_check: TimestampCheck::AgainstRef, ..options(&["main"]) };
    let error = pull(&repo, &server, &careful).unwrap_err();
    assert!(error.to_string().contains("is chronologically older than current"), "{error}");
    pull(&repo, &server, &options(&["main"])).unwrap();
    assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), old.to_string());
}

#[test]
fn part_of_a_commit_leaves_it_partial_until_the_rest_is_fetched() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive);
    let repo = world.repo("ours", RepoMode::BareUser);
    let only = PullOptions { extent: Extent::CommitMetadataOnly, ..options(&["main"]) };
    pull(&repo, &server, &only).unwrap();
    assert_eq!(object_files(repo.path()).len(), 1);
    assert!(repo.commit_state(&commit).unwrap().is_partial());
    let part = PullOptions { subpaths: vec!["/dir1".to_owned()], ..options(&["main"]) };
    pull(&repo, &server, &part).unwrap();
    assert!(peer::ok(repo.path(), &["ls", "main", "/dir1"]).contains("/dir1/file1"));
    assert!(repo.commit_state(&commit).unwrap().is_partial());
    pull(&repo, &server, &options(&["main"])).unwrap();
    assert!(!repo.commit_state(&commit).unwrap().is_partial());
    peer::fsck(repo.path());
}

#[test]
fn a_commit_can_be_named_instead_of_a_ref() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive);
    let repo = world.repo("ours", RepoMode::Bare);
    let options = PullOptions { commits: vec![commit], ..PullOptions::default() };
    pull(&repo, &server, &options).unwrap();
    assert!(repo.refs().unwrap().is_empty());
    assert!(!repo.commit_state(&commit).unwrap().is_partial());
    let pinned = self::options(&[&format!("main@{commit}")]);
    pull(&repo, &server, &pinned).unwrap();
    peer::fsck(repo.path());
    assert!(server.paths().iter().all(|path| !path.starts_with("/refs")));
}

#[test]
fn remotes_of_the_peers_configuration_are_used() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let server = Server::files(archive);
    let path = world.path("ours");
    peer::init(&path, "bare");
    peer::ok(&path, &["remote", "add", "--no-gpg-verify", "good", &server.url(), "main"]);
    peer::ok(&path, &["remote", "add", "unchecked", &server.url(), "main"]);
    let repo = updraft_repo::Repo::open(&path).unwrap();
    let remote =
        |name: &str| RemoteConfig::read(repo.config().key_file(), &RemoteName::new(name).unwrap());
    // Signatures are demanded unless the configuration says otherwise.
    assert!(remote("unchecked").unwrap().demands.gpg);
    let remote = remote("good").unwrap();
    let options = PullOptions {
        remote: Some(remote.name.clone()),
        refs: remote.branches.clone(),
        ..PullOptions::default()
    };
    let source = remote.source(&ClientOptions::default()).unwrap();
    updraft_repo::pull::pull(&Context::silent(), &repo, &source, &options).unwrap();
    assert_eq!(peer::ok(&path, &["rev-parse", "good:main"]), commit.to_string());
    peer::fsck(&path);
}

#[test]
fn a_cancelled_pull_says_so_and_changes_nothing() {
    let world = World::new();
    let (archive, _) = world.archive("archive");
    let server = Server::files(archive);
    let repo = world.repo("ours", RepoMode::Bare);
    let ctx = Context::silent();
    ctx.cancel.cancel();
    let source = http(&server.url());
    let error = updraft_repo::pull::pull(&ctx, &repo, &source, &options(&["main"])).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(object_files(repo.path()).is_empty());
}

#[test]
fn too_little_room_is_said_and_nothing_shows() {
    let world = World::new();
    let (archive, _) = world.archive("archive");
    let server = Server::files(archive);
    let repo = world.repo("ours", RepoMode::Bare);
    repo.edit_config(|file| file.set("core", "min-free-space-size", "900000TB")).unwrap();
    let error = pull(&repo, &server, &options(&["main"])).unwrap_err();
    assert_eq!(error.kind(), Kind::Exhausted, "{error}");
    assert!(object_files(repo.path()).is_empty() && repo.refs().unwrap().is_empty());
}
