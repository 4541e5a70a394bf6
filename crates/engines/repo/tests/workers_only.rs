//! A program that uses a library of ours and has no worker that packs: its pulls pass over deltas of
//! our own format, which may hold packed files, and take what else there is.
//!
//! Needs gzip. The only test of its program: the choice is one for a whole process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::fs;
use std::path::Path;
use std::process::Command;

use updraft_http::testing::Server;
use updraft_http::{Client, ClientOptions};
use updraft_ostree::delta::{DeltaFormat, DeltaName};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::commit::{CommitOptions, TreeSource, commit};
use updraft_repo::delta::{GenerateOptions, generate, pack_in_workers_only};
use updraft_repo::fsck::{FsckOptions, fsck};
use updraft_repo::pull::{PullOptions, PullStats, Source, pull};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;

const OURS: &str = "/updraft-deltas/";
const COMPATIBLE: &str = "/deltas/";

fn ctx() -> Context {
    Context::silent()
}

fn init(path: &Path, mode: RepoMode) -> Repo {
    Repo::init(path, mode, &InitOptions::default()).unwrap()
}

/// A commit with packed documentation, which a delta of our own format holds unpacked.
fn save(repo: &Repo, tree: &Path, version: u64) -> Checksum {
    fs::create_dir_all(tree).unwrap();
    let line = |n: u64| format!("{n}: {} in {version}\n", n * n % 1013 + n % 50 / 49 * version);
    let text: String = (0..20_000).map(line).collect();
    fs::write(tree.join("changelog"), text).unwrap();
    let packed = Command::new("gzip").args(["-n", "-f", "-9"]).arg(tree.join("changelog")).status();
    assert!(packed.expect("the Debian package gzip is installed").success());
    let branch = Some("main".parse().unwrap());
    let options = CommitOptions { branch, timestamp: version, ..CommitOptions::default() };
    let tree = TreeSource::Directory(tree.to_owned());
    commit(&ctx(), repo, &[tree], &options).unwrap().checksum
}

fn publish(repo: &Repo, name: &DeltaName) {
    let made = generate(&ctx(), repo, name, 0, &GenerateOptions::default()).unwrap();
    assert!(name.format == DeltaFormat::Ostree || made.repacked > 0, "{made:?}");
    summary::update(&ctx(), repo, 0, &SummaryOptions::default()).unwrap();
}

#[test]
fn a_host_of_the_library_passes_over_deltas_of_our_own_format() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let at = |name: &str| folder.path().join(name);
    let published = init(&at("repo"), RepoMode::Archive);
    let old = save(&published, &at("tree"), 1);
    let old_repo = init(&at("old"), RepoMode::BareUser);
    let refs = vec!["main".to_owned()];
    let options = PullOptions { refs, ..PullOptions::default() };
    pull(&ctx(), &old_repo, &Source::Local(published.clone()), &options).unwrap();
    let new = save(&published, &at("tree"), 2);

    let server = Server::files(published.path());
    let client = Client::new(&ClientOptions::default()).unwrap();
    let source = Source::Http { client, url: server.url() };
    // One that has the old commit, and one that has nothing.
    let fetch = |name: &str, has_old: bool| -> (PullStats, Vec<String>) {
        let repo = init(&at(name), RepoMode::BareUser);
        if has_old {
            pull(&ctx(), &repo, &Source::Local(old_repo.clone()), &options).unwrap();
        }
        let before = server.log().len();
        let stats = pull(&ctx(), &repo, &source, &options).unwrap();
        assert_eq!(stats.refs[0].1, new, "{name}");
        assert!(fsck(&ctx(), &repo, &FsckOptions::default()).unwrap().problems.is_empty());
        (stats, server.paths().split_off(before))
    };
    let asked_for = |paths: &[String], what: &str| {
        // A list of what there is tells nothing of what is used.
        paths.iter().any(|path| path.starts_with(what))
    };

    let from_old = DeltaName::new(Some(old), new);
    let from_nothing = DeltaName::new(None, new);
    for name in [&from_old, &from_nothing] {
        publish(&published, &name.in_format(DeltaFormat::Updraft));
    }
    // Else they are what is taken: or there would be nothing to pass over.
    for (name, has_old) in [("with-workers", true), ("from-nothing", false)] {
        let (stats, paths) = fetch(name, has_old);
        assert!(stats.delta_parts.is_some() && asked_for(&paths, OURS), "{name}: {paths:?}");
    }

    pack_in_workers_only();
    for (name, has_old) in [("host", true), ("empty-host", false)] {
        let (stats, paths) = fetch(name, has_old);
        assert!(stats.delta_parts.is_none(), "{name} used a delta: {paths:?}");
        assert!(!asked_for(&paths, OURS), "{name} looked at a delta: {paths:?}");
        assert!(stats.content_fetched > 0, "{name} fetched no objects: {paths:?}");
    }
    for name in [&from_old, &from_nothing] {
        publish(&published, &name.in_format(DeltaFormat::Ostree));
    }
    for (name, has_old) in [("compatible", true), ("compatible-from-nothing", false)] {
        let (stats, paths) = fetch(name, has_old);
        assert!(stats.delta_parts.is_some(), "{name} used no delta: {paths:?}");
        assert!(asked_for(&paths, COMPATIBLE) && !asked_for(&paths, OURS), "{name}: {paths:?}");
        assert_eq!(stats.content_fetched, 0, "{name}: {paths:?}");
    }
}
