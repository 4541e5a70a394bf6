//! Each option that changes what is committed changes it alike on both sides.

use std::fs;

use updraft_ostree::Metadata;
use updraft_ostree::gvariant::Value;
use updraft_repo::Repo;
use updraft_repo::commit::{Bindings, CommitOptions, ModeChange};

use super::{World, assert_same, ours, peer, tree};

/// One option: the peer's flags, and the same as ours.
struct Case {
    name: &'static str,
    flags: Vec<String>,
    options: Box<dyn Fn(&mut CommitOptions)>,
}

fn case(
    name: &'static str,
    flags: &[&str],
    options: impl Fn(&mut CommitOptions) + 'static,
) -> Case {
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Case { name, flags, options: Box::new(options) }
}

/// Commits with the option on both sides and compares.
fn compare(world: &World, mode: &str, case: &Case) {
    let (mine, theirs) = (world.path("mine"), world.path("theirs"));
    peer::init(&theirs, mode);
    let repo = ours::init(&mine, mode);
    let flags: Vec<&str> = case.flags.iter().map(String::as_str).collect();
    let expected = peer::commit(&theirs, "main", &world.path("tree"), &flags);
    let commit = ours::try_commit(&repo, "main", &world.path("tree"), |o| (case.options)(o));
    let commit = commit.unwrap_or_else(|error| panic!("{}: {}", case.name, error.1));
    for arguments in [&["ls", "-R", "-C", "-X", "main"][..], &["show", "--raw", "main"]] {
        let what = format!("{mode}, {}", case.name);
        assert_same(&peer::ok(&mine, arguments), &peer::ok(&theirs, arguments), &what);
    }
    assert_eq!(commit.to_string(), expected, "{mode}, {}", case.name);
    peer::fsck(&mine);
    fs::remove_dir_all(&mine).unwrap();
    fs::remove_dir_all(&theirs).unwrap();
}

#[test]
fn owners_modes_and_attributes_are_overridden_alike() {
    let world = World::nasty();
    let cases = [
        case("owner-uid", &["--owner-uid=5"], |o| o.owner_uid = Some(5)),
        case("owner", &["--owner-uid=0", "--owner-gid=7"], |o| {
            (o.owner_uid, o.owner_gid) = (Some(0), Some(7));
        }),
        case("no-xattrs", &["--no-xattrs"], |o| o.no_xattrs = true),
        case("canonical", &["--canonical-permissions"], |o| o.canonical_permissions = true),
        case("ro-executables", &["--mode-ro-executables"], |o| o.mode_ro_executables = true),
        case("no-bindings", &["--no-bindings"], |o| o.bindings = Bindings::None),
    ];
    for mode in ["archive", "bare", "bare-user"] {
        for case in &cases {
            compare(&world, mode, case);
        }
    }
}

#[test]
fn modes_are_overridden_by_path() {
    let world = World::nasty();
    let list = world.path("statoverride");
    fs::write(&list, "=420 /setuid\n2048 /hello\n1 /directories/plain\n=448 /names/with space\n")
        .unwrap();
    let flag = format!("--statoverride={}", list.display());
    let case = case("statoverride", &[&flag], |o| {
        for (path, change) in [
            ("/setuid", ModeChange::Set(0o644)),
            ("/hello", ModeChange::Add(0o4000)),
            ("/directories/plain", ModeChange::Add(1)),
            ("/names/with space", ModeChange::Set(0o700)),
        ] {
            o.statoverride.insert(path.to_owned(), change);
        }
    });
    compare(&world, "archive", &case);
    compare(&world, "bare", &case);
}

#[test]
fn paths_are_left_out_alike() {
    let world = World::nasty();
    let list = world.path("skip");
    fs::write(&list, "/hello\n/directories\n/names/*\n").unwrap();
    let flag = format!("--skip-list={}", list.display());
    let case = case("skip-list", &[&flag], |o| {
        o.skip_list.extend(["/hello", "/directories", "/names/*"].map(str::to_owned));
    });
    compare(&world, "archive", &case);
}

#[test]
fn overrides_that_match_nothing_are_refused() {
    let world = World::small();
    let repo = ours::init(&world.path("repo"), "archive");
    let tree = world.path("tree");
    let error = ours::try_commit(&repo, "main", &tree, |o| {
        o.statoverride.insert("/nope".to_owned(), ModeChange::Add(1));
    });
    assert!(error.unwrap_err().1.contains("Unmatched statoverride paths"));
    let error = ours::try_commit(&repo, "main", &tree, |o| {
        o.skip_list.insert("/nope".to_owned());
    });
    assert!(error.unwrap_err().1.contains("Unmatched skip-list paths"));
    assert!(repo.refs().unwrap().is_empty());
}

#[test]
fn metadata_is_written_alike() {
    let world = World::small();
    let cases = [
        case("string", &["--add-metadata-string=version=1.0"], |o| {
            o.metadata.insert("version", Value::String("1.0".into()));
        }),
        case(
            "values",
            &["--add-metadata=a=uint64 5", "--add-metadata=b=['x', 'y']", "--add-metadata=c=true"],
            |o| {
                o.metadata = Metadata::new();
                o.metadata.insert("a", Value::Uint64(5));
                o.metadata.insert("b", Value::strings(["x", "y"]));
                o.metadata.insert("c", Value::Bool(true));
            },
        ),
        case("bind-ref", &["--bind-ref=zeta", "--bind-ref=alpha"], |o| {
            o.bindings = ours::bindings(&["zeta", "alpha"]);
        }),
    ];
    for case in &cases {
        compare(&world, "archive", case);
    }
}

#[test]
fn sizes_are_recorded_alike() {
    let world = World::small();
    let (mine, theirs) = (world.path("mine"), world.path("theirs"));
    peer::init(&theirs, "archive");
    let repo = ours::init(&mine, "archive");
    peer::commit(&theirs, "main", &world.path("tree"), &["--generate-sizes"]);
    ours::try_commit(&repo, "main", &world.path("tree"), |o| o.generate_sizes = true).unwrap();
    // The bytes of deflate streams differ between encoders, so only the counts are compared.
    let sizes = |path| {
        let text = peer::ok(path, &["show", "--print-sizes", "main"]);
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&mine), sizes(&theirs));
}

/// Overlays `first` and `second` on both sides.
fn overlay(world: &World, base: bool) -> (String, String) {
    let (mine, theirs) = (world.path("mine"), world.path("theirs"));
    peer::init(&theirs, "archive");
    let repo = ours::init(&mine, "archive");
    let (first, second) = (world.path("tree"), world.path("second"));
    peer::commit(&theirs, "base", &first, &[]);
    ours::commit(&repo, "base", &first);
    let under = if base { "--base=base".to_owned() } else { "--tree=ref=base".to_owned() };
    let over = format!("--tree=dir={}", second.display());
    let arguments = ["commit", "--branch=main", "--timestamp=@1700000000", "--subject=Subject"];
    let more = [under.as_str(), over.as_str(), "--owner-uid=9"];
    let expected = peer::ok(&theirs, &[&arguments[..], &more[..]].concat());
    let commit = ours::commit_over(&repo, "base", base, &second, |o| o.owner_uid = Some(9));
    let list = ["ls", "-R", "-C", "-X", "main"];
    assert_same(&peer::ok(&mine, &list), &peer::ok(&theirs, &list), "overlay");
    peer::fsck(&mine);
    (commit.to_string(), expected)
}

#[test]
fn trees_are_overlaid_in_order() {
    for base in [false, true] {
        let world = World::nasty();
        let second = world.path("second");
        tree::directory(&second, (0, 0), 0o711);
        tree::file(&second.join("hello"), b"from the second", (3, 3), 0o600);
        tree::file(&second.join("new"), b"new", (0, 0), 0o644);
        tree::directory(&second.join("names"), (4, 4), 0o700);
        tree::file(&second.join("names/a"), b"other", (0, 0), 0o644);
        let (commit, expected) = overlay(&world, base);
        assert_eq!(commit, expected, "base {base}");
    }
}

fn refused_overlay(first: impl Fn(&std::path::Path), second: impl Fn(&std::path::Path)) {
    let world = World::new();
    let (one, two) = (world.path("one"), world.path("two"));
    tree::directory(&one, (0, 0), 0o755);
    tree::directory(&two, (0, 0), 0o755);
    first(&one.join("x"));
    second(&two.join("x"));
    let theirs = world.path("theirs");
    peer::init(&theirs, "archive");
    let trees = [&one, &two].map(|tree| format!("--tree=dir={}", tree.display()));
    peer::fails(&theirs, &["commit", "--branch=main", &trees[0], &trees[1]]);
    let repo: Repo = ours::init(&world.path("mine"), "archive");
    let error = ours::try_commit_overlay(&repo, &[&one, &two]).unwrap_err();
    assert!(error.contains("Can't replace"), "{error}");
}

#[test]
fn a_file_and_a_directory_do_not_replace_each_other() {
    let file = |path: &std::path::Path| tree::file(path, b"x", (0, 0), 0o644);
    let directory = |path: &std::path::Path| tree::directory(path, (0, 0), 0o755);
    refused_overlay(file, directory);
    refused_overlay(directory, file);
}
