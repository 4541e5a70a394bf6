//! Mirrors that serve something wrong: the next one is asked, and nothing wrong is kept.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use updraft_error::{Classify, Kind};
use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::Repo;
use updraft_repo::fsck::{FsckOptions, fsck};
use updraft_repo::pull::{self, Deltas, Error, PullOptions};
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
pub(crate) fn list(mirrors: &[&Server]) -> (Server, String) {
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
fn when_all_are_wrong_each_mirror_and_the_object_are_named() {
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
            let Error::Mirrors { what, answers } = &error else { panic!("{error}") };
            assert!(what.ends_with(suffix), "{error}");
            for (answer, mirror) in answers.iter().zip([&first, &last]) {
                assert_eq!(answer.url, mirror.url());
                let failure = answer.failure.as_ref();
                assert!(matches!(failure, Some(Error::BadObject { .. })), "{error}");
                assert!(error.to_string().contains(&mirror.url()), "{error}");
            }
            assert!(last.paths().iter().any(|path| path.ends_with(what)), "{error}");
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
        assert_eq!(error.kind(), Kind::Rejected, "{error}");
        assert!(error.to_string().contains(&format!("{} has none", lacking.url())), "{error}");
        let Error::Mirrors { answers, .. } = &error else { panic!("{error}") };
        let failed: Vec<_> = answers.iter().filter(|answer| answer.failure.is_some()).collect();
        assert!(matches!(failed[..], [one] if one.url == wrong.url()), "{error}");
        unchanged(&repo);
    }
}

#[test]
fn an_object_that_no_mirror_has_is_missing_at_all_of_them() {
    let world = World::new();
    let (archive, _) = archive(&world);
    let lacks = |_| Answer::Bytes(404, Vec::new());
    let (one, other) = (mirror(&archive, ".filez", lacks), mirror(&archive, ".filez", lacks));
    let (_list, address) = list(&[&one, &other]);
    let error = pull(&world.repo("ours", RepoMode::Bare), &http(&address), &["main"]).unwrap_err();
    assert!(matches!(error, Error::MissingObject { .. }), "{error}");
    assert!(error.to_string().contains(&format!("{} and {}", one.url(), other.url())), "{error}");
}

#[test]
fn a_ref_and_a_summary_that_are_nonsense_are_asked_of_the_next() {
    let world = World::new();
    let (archive, commit) = archive(&world);
    let nonsense: Spoil = |_| Answer::Resource(b"<html>welcome</html>".to_vec());
    let (bad, good) = (mirror(&archive, "heads/main", nonsense), Server::files(archive.clone()));
    let (_list, address) = list(&[&bad, &good]);
    let repo = world.repo("ours", RepoMode::Bare);
    pull(&repo, &http(&address), &["main"]).unwrap();
    right(&repo, &commit);
    peer::ok(&archive, &["summary", "-u"]);
    let bad = mirror(&archive, "summary", nonsense);
    let (_list, address) = list(&[&bad, &good]);
    let repo = world.repo("again", RepoMode::Bare);
    pull(&repo, &http(&address), &["main"]).unwrap();
    right(&repo, &commit);
    let (_list, address) = list(&[&bad, &bad]);
    let error = pull(&world.repo("none", RepoMode::Bare), &http(&address), &["main"]).unwrap_err();
    let Error::Mirrors { what, answers } = &error else { panic!("{error}") };
    assert_eq!((what.as_str(), answers.len()), ("summary", 2));
}

/// An archive with two commits and a delta of the peer between them, in parts of their own.
fn with_delta(world: &World) -> (PathBuf, String, Checksum) {
    write(&world.path("tree/grows"), &noise(300_000));
    let (archive, old) = world.archive("archive");
    let mut grown = noise(300_000);
    grown.splice(1000..1000, noise(90_000));
    write(&world.path("tree/grows"), &grown);
    write(&world.path("tree/other"), &noise(200_000));
    let new = peer::commit(&archive, "main", &world.path("tree"), 1_700_000_100);
    let (from, to) = (format!("--from={old}"), format!("--to={new}"));
    peer::ok(&archive, &["static-delta", "generate", "--max-chunk-size=1", &from, &to]);
    peer::ok(&archive, &["static-delta", "reindex"]);
    (archive, old.to_string(), new.parse().unwrap())
}

/// A repository that has the old commit.
fn receiver(world: &World, name: &str, archive: &Path, old: &str) -> Repo {
    let repo = world.repo(name, RepoMode::Bare);
    let server = Server::files(archive);
    pull(&repo, &http(&server.url()), &[&format!("main@{old}")]).unwrap();
    repo
}

fn by_delta(repo: &Repo, address: &str) -> Result<pull::PullStats, Error> {
    let options = PullOptions { deltas: Deltas::Require, ..options(&["main"]) };
    pull::pull(&Context::silent(), repo, &http(address), &options)
}

fn no_part_is_left(repo: &Repo) {
    let left: Vec<_> = std::fs::read_dir(repo.path().join("tmp")).unwrap().flatten().collect();
    let is_part = |name: &str| name.starts_with("partial-");
    assert!(!left.iter().any(|entry| is_part(&entry.file_name().to_string_lossy())));
}

#[test]
fn every_file_of_a_delta_is_asked_of_the_next_mirror() {
    let world = World::new();
    let (archive, old, new) = with_delta(&world);
    let good = Server::files(archive.clone());
    let failing: Spoil = |_| Answer::Bytes(500, Vec::new());
    let ways = WAYS.into_iter().chain([failing]).enumerate();
    for (number, spoil) in ways {
        for suffix in [".index", "/superblock", "/0"] {
            // An index has no checksum: what is flipped or cut off in it may be another's name.
            if suffix == ".index" && [0, 2].contains(&number) {
                continue;
            }
            let bad = mirror(&archive, suffix, spoil);
            let (_list, address) = list(&[&bad, &good]);
            let repo = receiver(&world, &format!("ours{number}{}", &suffix[1..]), &archive, &old);
            let stats = by_delta(&repo, &address).unwrap();
            assert!(stats.delta_parts.is_some_and(|parts| parts > 0), "{suffix}");
            assert!(bad.paths().iter().any(|path| path.ends_with(suffix)), "{suffix}");
            right(&repo, &new);
            no_part_is_left(&repo);
        }
    }
}

#[test]
fn when_no_mirror_has_a_delta_right_each_is_named() {
    let world = World::new();
    let (archive, old, _) = with_delta(&world);
    for suffix in [".index", "/superblock", "/0"] {
        let (first, last) = (
            mirror(&archive, suffix, |_| Answer::Resource(b"nonsense".to_vec())),
            mirror(&archive, suffix, |_| Answer::Bytes(500, Vec::new())),
        );
        let (_list, address) = list(&[&first, &last]);
        let repo = receiver(&world, &format!("ours{}", &suffix[1..]), &archive, &old);
        let error = by_delta(&repo, &address).unwrap_err();
        let Error::Mirrors { what, answers } = &error else { panic!("{error}") };
        assert!(what.ends_with(suffix), "{error}");
        assert!(answers.iter().all(|answer| answer.failure.is_some()), "{error}");
        // The second may do better another time.
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        for mirror in [&first, &last] {
            assert!(error.to_string().contains(&mirror.url()), "{error}");
        }
        assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), old);
        peer::fsck(repo.path());
    }
}

#[test]
fn a_part_that_broke_off_goes_on_at_the_next_mirror() {
    let world = World::new();
    let (archive, old, new) = with_delta(&world);
    let bad = mirror(&archive, "/0", |bytes| Answer::Cut(bytes, 100));
    let good = Server::files(archive.clone());
    let (_list, address) = list(&[&bad, &good]);
    let repo = receiver(&world, "ours", &archive, &old);
    by_delta(&repo, &address).unwrap();
    right(&repo, &new);
    let log = good.log();
    let part = log.iter().find(|exchange| exchange.path.ends_with("/0")).unwrap();
    assert!(part.range_start().is_some_and(|start| start >= 100), "{part:?}");
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
