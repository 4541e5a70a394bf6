//! Mirrors that serve something wrong: the next one is asked, and nothing wrong is kept.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use updraft_error::{Classify, Kind};
use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::Repo;
use updraft_repo::fsck::{FsckOptions, fsck};
use updraft_repo::pull::{self, Error, PullOptions};
use updraft_task::Context;

use crate::peer;
use crate::world::{World, http, noise, object_files, options, pull, text, write};

/// How a mirror spoils what it has.
type Spoil = fn(Vec<u8>) -> Answer;

/// The last two also spoil what has no checksum.
const WAYS: [Spoil; 4] = [flipped, |_| Answer::Resource(Vec::new()), shortened, cut];

fn flipped(mut bytes: Vec<u8>) -> Answer {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Answer::Resource(bytes)
}

fn shortened(mut bytes: Vec<u8>) -> Answer {
    bytes.truncate(bytes.len() - 1);
    Answer::Resource(bytes)
}

fn cut(bytes: Vec<u8>) -> Answer {
    Answer::Cut(bytes, 0)
}

/// A mirror of `root` that spoils all objects with this suffix.
fn mirror(root: &Path, suffix: &'static str, spoil: Spoil) -> Server {
    let root = root.to_owned();
    Server::start(move |exchange: &Exchange| match Answer::file(&root, exchange) {
        Answer::Resource(bytes) if exchange.path.ends_with(suffix) => spoil(bytes),
        other => other,
    })
}

/// A server with a list of these mirrors, and the address by which remotes name it.
fn list(mirrors: &[&Server]) -> (Server, String) {
    let text = mirrors.iter().map(|mirror| mirror.url()).collect::<Vec<_>>().join("\n");
    let server = Server::start(move |_| Answer::Bytes(200, text.clone().into_bytes()));
    let address = format!("mirrorlist={}/list", server.url());
    (server, address)
}

fn right(repo: &Repo, commit: &Checksum) {
    assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), commit.to_string());
    peer::fsck(repo.path());
    assert!(!repo.commit_state(commit).unwrap().is_partial());
}

fn unchanged(repo: &Repo) {
    assert!(repo.refs().unwrap().is_empty());
    assert!(object_files(repo.path()).is_empty());
    let report = fsck(&Context::silent(), repo, &FsckOptions::default()).unwrap();
    assert!(report.is_clean(), "{report:?}");
    peer::fsck(repo.path());
}

/// An archive whose commit has something beside it.
fn archive(world: &World) -> (PathBuf, Checksum) {
    let (archive, commit) = world.archive("archive");
    let name = commit.to_string();
    let beside = archive.join(format!("objects/{}/{}.commitmeta", &name[..2], &name[2..]));
    let mut metadata = updraft_ostree::Metadata::new();
    metadata.insert("test", updraft_ostree::gvariant::Value::Bool(true));
    write(&beside, &metadata.encode());
    (archive, commit)
}

#[test]
fn the_next_mirror_is_asked_when_one_serves_something_wrong() {
    let world = World::new();
    let (archive, commit) = archive(&world);
    for (number, spoil) in WAYS.into_iter().enumerate() {
        for suffix in [".filez", ".dirtree", ".dirmeta", ".commit", ".commitmeta"] {
            if suffix == ".commitmeta" && number < 2 {
                continue;
            }
            let (bad, good) = (mirror(&archive, suffix, spoil), Server::files(archive.clone()));
            let (_list, address) = list(&[&bad, &good]);
            for mode in [RepoMode::Bare, RepoMode::Archive] {
                let repo = world.repo(&format!("ours{number}{suffix}{mode}"), mode);
                pull(&repo, &http(&address), &["main"]).unwrap();
                right(&repo, &commit);
                let beside = repo.read_commit_meta(&commit).unwrap();
                assert!(beside.is_some_and(|beside| beside.get("test").is_some()), "{suffix}");
            }
            // Only for what was wrong: the first mirror comes first.
            let asked = |path: &String| path.contains("/objects/") && !path.ends_with(suffix);
            assert!(!good.paths().iter().any(asked), "{suffix}");
        }
    }
}

#[test]
fn mirrors_of_the_content_are_asked_in_turn_too() {
    let world = World::new();
    let (archive, commit) = archive(&world);
    let (bad, good) = (mirror(&archive, ".filez", flipped), Server::files(archive.clone()));
    let (_list, address) = list(&[&bad, &good]);
    let summaries = Server::files(archive);
    let options = PullOptions { content_url: Some(address), ..options(&["main"]) };
    let repo = world.repo("ours", RepoMode::Bare);
    pull::pull(&Context::silent(), &repo, &http(&summaries.url()), &options).unwrap();
    right(&repo, &commit);
    assert!(!summaries.paths().iter().any(|path| path.contains(".filez")));
}

#[test]
fn when_all_are_wrong_the_mirror_and_the_object_are_named() {
    let world = World::new();
    let (archive, _) = archive(&world);
    for suffix in [".filez", ".dirtree", ".dirmeta", ".commit"] {
        let (first, last) =
            (mirror(&archive, suffix, flipped), mirror(&archive, suffix, shortened));
        let (_list, address) = list(&[&first, &last]);
        for mode in [RepoMode::Bare, RepoMode::Archive] {
            let repo = world.repo(&format!("ours{suffix}{mode}"), mode);
            let error = pull(&repo, &http(&address), &["main"]).unwrap_err();
            assert_eq!(error.kind(), Kind::Rejected, "{}", text(&error));
            let Error::BadObject { name, source_name, .. } = &error else { panic!("{error}") };
            assert_eq!(*source_name, first.url());
            let loose = name.loose_path(RepoMode::Archive);
            assert!(loose.ends_with(suffix), "{error}");
            assert!(last.paths().iter().any(|path| path.ends_with(&loose)), "{error}");
            unchanged(&repo);
        }
    }
}

#[test]
fn a_mirror_that_lacks_an_object_does_not_hide_that_another_is_wrong() {
    let world = World::new();
    let (archive, _) = archive(&world);
    let wrong = mirror(&archive, ".filez", flipped);
    let lacking = mirror(&archive, ".filez", |_| Answer::Bytes(404, Vec::new()));
    for (number, mirrors) in [[&wrong, &lacking], [&lacking, &wrong]].iter().enumerate() {
        let (_list, address) = list(mirrors);
        let repo = world.repo(&format!("ours{number}"), RepoMode::Bare);
        let error = pull(&repo, &http(&address), &["main"]).unwrap_err();
        let Error::BadObject { source_name, .. } = &error else { panic!("{error}") };
        assert_eq!(*source_name, wrong.url());
        unchanged(&repo);
    }
}

#[test]
fn a_large_file_goes_on_at_the_next_mirror() {
    let world = World::new();
    write(&world.path("tree/large"), &noise(17 << 20));
    let (archive, commit) = world.archive("archive");
    let ways: [Spoil; 3] = [flipped, shortened, |bytes| Answer::Cut(bytes, 12 << 20)];
    for (number, spoil) in ways.into_iter().enumerate() {
        let (bad, good) = (mirror(&archive, ".filez", spoil), Server::files(archive.clone()));
        let (_list, address) = list(&[&bad, &good]);
        let repo = world.repo(&format!("ours{number}"), RepoMode::Archive);
        pull(&repo, &http(&address), &["main"]).unwrap();
        right(&repo, &commit);
        let left: Vec<_> = std::fs::read_dir(repo.path().join("tmp")).unwrap().flatten().collect();
        let partial = |name: &str| name.starts_with("partial-");
        assert!(!left.iter().any(|entry| partial(&entry.file_name().to_string_lossy())));
    }
}

#[test]
fn more_than_there_is_of_a_large_file_is_thrown_away() {
    let world = World::new();
    write(&world.path("tree/large"), &noise(17 << 20));
    let (archive, commit) = world.archive("archive");
    let large = object_files(&archive)
        .into_iter()
        .find(|file| archive.join("objects").join(file).metadata().unwrap().len() > 16 << 20)
        .unwrap();
    let name = large.replace('/', "").replace(".filez", "");
    let repo = world.repo("ours", RepoMode::Archive);
    write(&repo.path().join(format!("tmp/partial-{name}.filez")), &noise(18 << 20));
    pull(&repo, &http(&Server::files(archive).url()), &["main"]).unwrap();
    right(&repo, &commit);
}
