//! Servers that lie, cut, vanish, or are none.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use updraft_error::{Classify, Kind};
use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::RepoMode;
use updraft_repo::pull::Error;
use updraft_repo::{Repo, Trust};

use crate::peer;
use crate::world::{World, http, object_files, pull, text};

/// Pulls from a server that answers `bad` for the first object with this suffix, and checks that
/// nothing of it shows; then the honest server repairs everything.
fn refused(
    suffix: &'static str,
    bad: impl Fn(Vec<u8>) -> Answer + Send + Sync + Copy + 'static,
) -> Error {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    let victim = object_files(&archive)
        .into_iter()
        .filter(|file| file.ends_with(suffix))
        // The largest, so that there is something to cut and to flip.
        .max_by_key(|file| archive.join("objects").join(file).metadata().unwrap().len())
        .unwrap();
    let root = archive.clone();
    let server = Server::start(move |exchange: &Exchange| match Answer::file(&root, exchange) {
        Answer::Resource(bytes) if exchange.path.ends_with(&victim) => bad(bytes),
        other => other,
    });
    let mut error = None;
    for mode in [RepoMode::Bare, RepoMode::Archive] {
        let repo = world.repo(&format!("ours-{mode}"), mode);
        error = Some(pull(&repo, &http(&server.url()), &["main"]).unwrap_err());
        assert_eq!(repo.refs().unwrap().len(), 0);
        assert!(object_files(repo.path()).is_empty());
        pull(&repo, &http(&Server::files(archive.clone()).url()), &["main"]).unwrap();
        peer::fsck(repo.path());
        assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), commit.to_string());
    }
    error.unwrap()
}

fn flipped(mut bytes: Vec<u8>) -> Answer {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Answer::Resource(bytes)
}

#[test]
fn a_flipped_byte_is_refused_wherever_it_is() {
    for suffix in [".filez", ".dirtree", ".dirmeta", ".commit"] {
        let error = refused(suffix, flipped);
        assert!(matches!(error, Error::BadObject { .. }), "{suffix}: {error}");
        assert_eq!(error.kind(), Kind::Rejected);
    }
}

#[test]
fn a_shorter_or_longer_object_is_refused() {
    let error = refused(".filez", |bytes| Answer::Resource(bytes[..bytes.len() - 3].to_vec()));
    assert_eq!(error.kind(), Kind::Rejected, "{}", text(&error));
    let error = refused(".filez", |bytes| Answer::Resource([bytes, vec![0]].concat()));
    assert_eq!(error.kind(), Kind::Rejected, "{}", text(&error));
    let error = refused(".dirtree", |bytes| Answer::Resource([bytes, vec![0]].concat()));
    assert_eq!(error.kind(), Kind::Rejected, "{}", text(&error));
    let error = refused(".filez", |_| Answer::Resource(Vec::new()));
    assert_eq!(error.kind(), Kind::Rejected, "{}", text(&error));
}

#[test]
fn a_missing_object_is_named() {
    let error = refused(".filez", |_| Answer::Bytes(404, Vec::new()));
    assert!(matches!(error, Error::MissingObject { .. }));
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains(".file from http://"), "{error}");
}

#[test]
fn a_server_that_cuts_each_body_in_half_still_delivers() {
    let world = World::new();
    let (archive, _) = world.archive("archive");
    let server = Server::start(move |exchange: &Exchange| match Answer::file(&archive, exchange) {
        Answer::Resource(bytes) if exchange.path.contains(".filez") => {
            let rest = bytes.len() - exchange.range_start().unwrap_or(0).min(bytes.len());
            Answer::Cut(bytes, rest.div_ceil(2))
        }
        other => other,
    });
    let repo = world.repo("ours", RepoMode::Bare);
    pull(&repo, &http(&server.url()), &["main"]).unwrap();
    peer::fsck(repo.path());
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let error = refused(".filez", |bytes| Answer::Cut(bytes, 0));
    assert_eq!(error.kind(), Kind::Unavailable, "{}", text(&error));
    let error = refused(".commit", |_| Answer::Bytes(500, Vec::new()));
    assert_eq!(error.kind(), Kind::Unavailable, "{}", text(&error));
}

#[test]
fn a_server_without_a_repository_is_called_that() {
    let world = World::new();
    let page = b"<html>It works!</html>".to_vec();
    let server = Server::start(move |_| Answer::Bytes(200, page.clone()));
    let repo = world.repo("ours", RepoMode::Bare);
    let error = pull(&repo, &http(&server.url()), &["main"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{}", text(&error));
    let server = Server::start(|_| Answer::Bytes(404, Vec::new()));
    let error = pull(&repo, &http(&server.url()), &["main"]).unwrap_err();
    assert!(matches!(error, Error::NoSuchRef { .. }), "{}", text(&error));
    let error = pull(&repo, &http("http://127.0.0.1:1"), &["main"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[test]
fn a_repository_that_is_no_archive_is_refused_over_http() {
    let world = World::new();
    let bare = world.path("bare");
    peer::init(&bare, "bare");
    peer::commit(&bare, "main", &world.path("tree"), 1);
    let repo = world.repo("ours", RepoMode::Bare);
    let error = pull(&repo, &http(&Server::files(bare).url()), &["main"]).unwrap_err();
    assert_eq!(error.to_string(), "pull: Can't pull from archives with mode \"bare\"");
}

fn damage(repo: &Path, suffix: &str) -> PathBuf {
    let file = object_files(repo)
        .into_iter()
        .filter(|file| file.ends_with(suffix))
        .max_by_key(|file| repo.join("objects").join(file).symlink_metadata().unwrap().len())
        .unwrap();
    let path = repo.join("objects").join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    crate::world::write(&path, &bytes);
    path
}

#[test]
fn a_corrupt_object_of_a_local_repository_is_refused() {
    for mode in ["bare", "bare-user", "archive"] {
        let world = World::new();
        let from = world.path("from");
        peer::init(&from, mode);
        peer::commit(&from, "main", &world.path("tree"), 1);
        damage(&from, if mode == "archive" { ".filez" } else { ".file" });
        let source = updraft_repo::pull::Source::Local(Repo::open(&from).unwrap());
        for to in [RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive] {
            let repo = world.repo(&format!("ours-{to}"), to);
            let options = updraft_repo::pull::PullOptions {
                trust: Trust::Verify,
                ..crate::world::options(&["main"])
            };
            let ctx = updraft_task::Context::silent();
            let error = updraft_repo::pull::pull(&ctx, &repo, &source, &options).unwrap_err();
            assert_eq!(error.kind(), Kind::Rejected, "{mode} {to}: {}", text(&error));
            assert_eq!(repo.refs().unwrap().len(), 0);
        }
    }
}
