//! A commit becomes the same files on both sides, whichever way it is checked out.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use updraft_repo::Repo;
use updraft_repo::checkout::{CheckoutOptions, Hardlinks, UnionMode};

use super::snapshot::Snapshot;
use super::{MODES, World, ours, peer, tree};

/// One way to check out: the peer's flags, and the same as our options.
struct Way {
    name: &'static str,
    flags: &'static [&'static str],
    options: fn(&mut CheckoutOptions),
}

const FRESH: [Way; 8] = [
    Way { name: "default", flags: &[], options: |_| {} },
    Way { name: "user", flags: &["-U"], options: |o| o.user_mode = true },
    Way { name: "copy", flags: &["-C"], options: |o| o.hardlinks = Hardlinks::Never },
    Way {
        name: "user-copy",
        flags: &["-U", "-C"],
        options: |o| {
            o.user_mode = true;
            o.hardlinks = Hardlinks::Never;
        },
    },
    Way { name: "hardlinks", flags: &["-H"], options: |o| o.hardlinks = Hardlinks::Require },
    Way {
        name: "user-hardlinks",
        flags: &["-U", "-H"],
        options: |o| {
            o.user_mode = true;
            o.hardlinks = Hardlinks::Require;
        },
    },
    Way {
        name: "subpath",
        flags: &["--subpath=/directories"],
        options: |o| o.subpath = Some("/directories".into()),
    },
    Way {
        name: "subpath-file",
        flags: &["--subpath=/setuid"],
        options: |o| o.subpath = Some("/setuid".into()),
    },
];

/// Checks out on both sides into copies of `before` and compares what happened.
fn compare(world: &World, repo: &Repo, way: &Way, before: Option<fn(&Path)>, label: &str) {
    let (mine, theirs) = (world.path("mine-out"), world.path("their-out"));
    for folder in [&mine, &theirs] {
        if folder.exists() {
            fs::remove_dir_all(folder).unwrap();
        }
        if let Some(before) = before {
            before(folder);
        }
    }
    let mut arguments = vec!["checkout"];
    arguments.extend_from_slice(way.flags);
    arguments.extend_from_slice(&["main", theirs.to_str().unwrap()]);
    let expected = peer::run(repo.path(), &arguments);
    let mut options = CheckoutOptions::default();
    (way.options)(&mut options);
    let result = ours::checkout(repo, "main", &mine, &options);
    let what = format!("{label}, {}", way.name);
    if !expected.status.success() {
        let said = String::from_utf8_lossy(&expected.stderr);
        assert!(result.is_err(), "{what}: succeeded, but the peer says {said}");
        return;
    }
    result.unwrap_or_else(|error| panic!("{what}: {error}"));
    // Where the peer leaves the time of the checkout, ours may be anything.
    let theirs = Snapshot::of(&theirs);
    let is_free = |path: &Path| theirs.0.get(path).is_some_and(|entry| entry.mtime.0 != 0);
    let settle = |snapshot: Snapshot| {
        snapshot.map(|path, entry| {
            if is_free(path) {
                entry.mtime = (0, 0);
            }
        })
    };
    settle(Snapshot::of(&mine)).assert_equals(&settle(theirs.clone()), &what);
}

#[test]
fn fresh_checkouts_are_equal() {
    let world = World::nasty();
    for mode in MODES {
        let path = world.path(mode);
        peer::init(&path, mode);
        peer::commit(&path, "main", &world.path("tree"), &[]);
        let repo = ours::open(&path);
        for way in &FRESH {
            compare(&world, &repo, way, None, mode);
        }
    }
}

#[test]
fn a_checkout_is_the_tree_that_was_committed() {
    let world = World::nasty_and_large();
    for mode in ["archive", "bare", "bare-user"] {
        let repo = ours::init(&world.path(mode), mode);
        ours::commit(&repo, "main", &world.path("tree"));
        let out = world.path(format!("out-{mode}"));
        ours::checkout(&repo, "main", &out, &CheckoutOptions::default()).unwrap();
        let expected = Snapshot::of(&world.path("tree")).without_times();
        // Attributes without a value are not committed.
        let expected = expected.map(|_, entry| entry.xattrs.retain(|_, value| !value.is_empty()));
        let snapshot = Snapshot::of(&out);
        // Empty files are never links to their object and have the time of the checkout.
        let late = snapshot.0.iter().filter(|(_, entry)| entry.mtime.0 != 0);
        let late: Vec<_> = late.map(|(path, _)| path).collect();
        let empty = [Path::new("another-empty"), Path::new("empty-file")];
        assert!(mode != "bare" || late == empty, "{mode}: {late:?}");
        snapshot.without_times().assert_equals(&expected, mode);

        let theirs = world.path(format!("their-{mode}"));
        peer::ok(repo.path(), &["checkout", "main", theirs.to_str().unwrap()]);
        Snapshot::of(&theirs).without_times().assert_equals(&expected, mode);
    }
}

#[test]
fn files_are_hard_links_where_modes_agree() {
    let world = World::small();
    for (mode, user_mode, linked) in [
        ("bare", false, true),
        ("bare-user", true, true),
        ("bare", true, false),
        ("archive", false, false),
    ] {
        let repo = ours::init(&world.path(format!("{mode}-{user_mode}")), mode);
        ours::commit(&repo, "main", &world.path("tree"));
        let out = world.path(format!("out-{mode}-{user_mode}"));
        let options = CheckoutOptions { user_mode, ..CheckoutOptions::default() };
        ours::checkout(&repo, "main", &out, &options).unwrap();
        let links = fs::metadata(out.join("hello")).unwrap().nlink();
        assert_eq!(links > 1, linked, "{mode}, user mode {user_mode}");
    }
}

/// What is in the way of a union checkout.
fn in_the_way(folder: &Path) {
    tree::directory(folder, (0, 0), 0o700);
    tree::file(&folder.join("hello"), b"in the way", (1, 1), 0o600);
    tree::file(&folder.join("other"), b"stays", (0, 0), 0o644);
    tree::directory(&folder.join("sub"), (3, 3), 0o711);
    tree::file(&folder.join("sub/stays"), b"stays", (0, 0), 0o644);
    tree::link(&folder.join("link"), "elsewhere", (0, 0));
}

/// A folder in which only other things are.
fn beside(folder: &Path) {
    tree::directory(folder, (0, 0), 0o755);
    tree::file(&folder.join("other"), b"stays", (0, 0), 0o644);
}

/// A folder where the commit has a file.
fn folder_for_file(folder: &Path) {
    tree::directory(&folder.join("hello"), (0, 0), 0o755);
}

/// A file where the commit has a folder.
fn file_for_folder(folder: &Path) {
    tree::directory(folder, (0, 0), 0o755);
    tree::file(&folder.join("sub"), b"a file", (0, 0), 0o644);
}

#[test]
fn unions_treat_what_is_there_alike() {
    let ways = [
        Way { name: "default", flags: &[], options: |_| {} },
        Way { name: "union", flags: &["--union"], options: |o| o.union = UnionMode::Overwrite },
        Way { name: "union-add", flags: &["--union-add"], options: |o| o.union = UnionMode::Add },
        Way {
            name: "union-identical",
            flags: &["--union-identical", "-H"],
            options: |o| {
                o.union = UnionMode::Identical;
                o.hardlinks = Hardlinks::Require;
            },
        },
    ];
    let world = World::small();
    for mode in ["bare", "archive"] {
        let path = world.path(mode);
        peer::init(&path, mode);
        peer::commit(&path, "main", &world.path("tree"), &[]);
        let repo = ours::open(&path);
        for (label, before) in [
            ("in the way", in_the_way as fn(&Path)),
            ("beside", beside),
            ("folder for file", folder_for_file),
            ("file for folder", file_for_folder),
            ("identical", tree::small),
        ] {
            for way in &ways {
                compare(&world, &repo, way, Some(before), &format!("{mode}, {label}"));
            }
        }
    }
}

#[test]
fn whiteouts_are_processed_when_asked() {
    let world = World::small();
    let tree = world.path("tree");
    tree::file(&tree.join(".wh.other"), b"", (0, 0), 0o644);
    tree::file(&tree.join("sub/.ostree-wh.gone"), b"", (5, 6), 0o640);
    let path = world.path("repo");
    peer::init(&path, "bare");
    peer::commit(&path, "main", &tree, &[]);
    let repo = ours::open(&path);
    for way in [
        Way { name: "ignored", flags: &["--union"], options: |o| o.union = UnionMode::Overwrite },
        Way {
            name: "whiteouts",
            flags: &["--union", "--whiteouts"],
            options: |o| {
                o.union = UnionMode::Overwrite;
                o.whiteouts = true;
            },
        },
        Way {
            name: "passthrough",
            flags: &["--union", "--process-passthrough-whiteouts"],
            options: |o| {
                o.union = UnionMode::Overwrite;
                o.passthrough_whiteouts = true;
            },
        },
    ] {
        compare(&world, &repo, &way, Some(beside), "whiteouts");
    }
}
