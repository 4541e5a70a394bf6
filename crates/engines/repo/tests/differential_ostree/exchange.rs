//! Commits go from our repositories to theirs and back, through every pair of modes.

use std::path::Path;

use super::{World, assert_same, ours, peer};

/// (from, to): what a full tree can go through. A bare-user-only repository only holds trees that
/// were committed for it.
const PAIRS: [(&str, &str); 7] = [
    ("archive", "bare"),
    ("archive", "bare-user"),
    ("archive", "archive"),
    ("bare", "archive"),
    ("bare-user", "archive"),
    ("bare", "bare"),
    ("bare-user", "bare"),
];

fn listing(repo: &Path) -> String {
    peer::ok(repo, &["ls", "-R", "-C", "-X", "main"])
}

#[test]
fn they_pull_what_we_wrote() {
    let world = World::nasty();
    for (from, to) in PAIRS {
        let source = world.path(format!("from-{from}"));
        if !source.exists() {
            ours::commit(&ours::init(&source, from), "main", &world.path("tree"));
        }
        let target = world.path(format!("{from}-to-{to}"));
        peer::init(&target, to);
        let source_text = source.to_str().unwrap();
        peer::ok(&target, &["pull-local", "--untrusted", source_text, "main"]);
        peer::fsck(&target);
        assert_same(&listing(&target), &listing(&source), &format!("{from} to {to}"));
    }
}

#[test]
fn we_pull_what_they_wrote() {
    let world = World::nasty();
    for (from, to) in PAIRS {
        let source = world.path(format!("from-{from}"));
        if !source.exists() {
            peer::init(&source, from);
            peer::commit(&source, "main", &world.path("tree"), &[]);
        }
        let target = world.path(format!("{from}-to-{to}"));
        let repo = ours::init(&target, to);
        ours::pull_local(&repo, &ours::open(&source), &["main"]);
        peer::fsck(&target);
        ours::fsck(&repo);
        assert_same(&listing(&target), &listing(&source), &format!("{from} to {to}"));
    }
}

#[test]
fn canonical_trees_pass_through_bare_user_only() {
    let world = World::nasty_and_large();
    let (first, second) = (world.path("first"), world.path("second"));
    let repo = ours::init(&first, "bare-user-only");
    ours::commit(&repo, "main", &world.path("tree"));
    peer::init(&second, "archive");
    peer::ok(&second, &["pull-local", first.to_str().unwrap(), "main"]);
    peer::fsck(&second);

    let back = world.path("back");
    let repo = ours::init(&back, "bare-user-only");
    ours::pull_local(&repo, &ours::open(&second), &["main"]);
    peer::fsck(&back);
    assert_same(&listing(&back), &listing(&first), "there and back");
}

#[test]
fn history_comes_along_as_deep_as_asked() {
    let world = World::small();
    let source = world.path("source");
    peer::init(&source, "archive");
    for round in 0..4 {
        std::fs::write(world.path("tree/round"), format!("{round}")).unwrap();
        peer::commit(&source, "main", &world.path("tree"), &[]);
    }
    for (depth, count) in [(0, 1), (2, 3), (-1, 4), (9, 4)] {
        let (mine, theirs) = (world.path(format!("m{depth}")), world.path(format!("t{depth}")));
        peer::init(&theirs, "archive");
        let option = format!("--depth={depth}");
        peer::ok(&theirs, &["pull-local", &option, source.to_str().unwrap(), "main"]);
        let repo = ours::init(&mine, "archive");
        ours::pull_local_depth(&repo, &ours::open(&source), &["main"], depth);
        peer::fsck(&mine);
        let log = peer::ok(&mine, &["log", "main"]);
        assert_eq!(log, peer::ok(&theirs, &["log", "main"]), "depth {depth}");
        assert_eq!(log.lines().filter(|line| line.starts_with("commit ")).count(), count);
    }
}
