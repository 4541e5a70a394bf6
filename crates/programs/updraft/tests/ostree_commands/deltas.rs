//! Static deltas, made by either side and applied by either side.

use std::fs;
use std::path::{Path, PathBuf};

use super::world::World;

/// A repository `repo` with two commits between which most things happen to files.
fn world() -> World {
    let world = World::new("archive");
    let text = |seed: u32, lines: u32| -> String {
        let lines: Vec<String> =
            (0..lines).map(|line| format!("{} {}\n", line * seed, line ^ seed)).collect();
        lines.concat()
    };
    let tree = world.path("tree");
    fs::write(tree.join("changed"), text(7, 9000)).unwrap();
    fs::write(tree.join("gone-elsewhere"), text(11, 5000)).unwrap();
    fs::write(tree.join("lib.so.1.2"), text(13, 3000)).unwrap();
    world.peer_ok(&["commit", "--repo=repo", "--branch=main", "--timestamp=@1700000010", "tree"]);
    fs::write(tree.join("changed"), text(7, 9000).replace("4242", "something longer")).unwrap();
    fs::rename(tree.join("gone-elsewhere"), tree.join("sub/renamed")).unwrap();
    let renamed = fs::read_to_string(tree.join("sub/renamed")).unwrap();
    fs::write(tree.join("sub/renamed"), renamed + "and longer\n").unwrap();
    fs::rename(tree.join("lib.so.1.2"), tree.join("lib.so.1.3")).unwrap();
    fs::write(tree.join("lib.so.1.3"), text(13, 3000).replace('9', "8")).unwrap();
    fs::write(tree.join("brand-new"), text(23, 90_000)).unwrap();
    std::os::unix::fs::symlink("brand-new", tree.join("new-link")).unwrap();
    world.peer_ok(&[
        "commit",
        "--repo=repo",
        "--branch=main",
        "--timestamp=@1700000020",
        "--add-detached-metadata-string=k=v",
        "tree",
    ]);
    world
}

/// A new repository of this mode with the commit before the last one.
fn receiver(world: &World, name: &str, mode: &str) {
    let _ = fs::remove_dir_all(world.path(name));
    world.peer_ok(&["init", &format!("--repo={name}"), &format!("--mode={mode}")]);
    let old = world.peer_ok(&["rev-parse", "--repo=repo", "main^"]);
    world.peer_ok(&["pull-local", &format!("--repo={name}"), "repo", old.trim()]);
}

#[track_caller]
fn ours_ok(world: &World, arguments: &[&str]) -> String {
    let outcome = world.ours(arguments);
    assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
    outcome.stdout
}

#[track_caller]
fn has_the_tip(world: &World, name: &str) {
    let tip = world.peer_ok(&["rev-parse", "--repo=repo", "main"]);
    world.peer_ok(&["fsck", &format!("--repo={name}")]);
    let list = |repo: &str| world.peer_ok(&["ls", &format!("--repo={repo}"), "-RCX", tip.trim()]);
    assert_eq!(list(name), list("repo"));
    let meta = world.peer_ok(&[
        "show",
        &format!("--repo={name}"),
        "--print-detached-metadata-key=k",
        tip.trim(),
    ]);
    assert_eq!(meta.trim(), "'v'");
}

#[test]
fn each_side_applies_what_the_other_makes() {
    let world = world();
    let variants: &[&[&str]] = &[
        &[],
        &["--inline"],
        &["--set-endianness=B"],
        &["--swap-endianness", "--inline"],
        &["--empty"],
        &["--disable-bsdiff"],
        &["--max-bsdiff-size=0"],
        &["--max-chunk-size=1"],
    ];
    for variant in variants {
        let folder = world.path("delta");
        for made_by in ["ours", "peer"] {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            let file = format!("--filename={}", folder.join("file").display());
            let arguments =
                [&["--repo=repo", "static-delta", "generate", &file, "main"], *variant].concat();
            match made_by {
                "ours" => drop(ours_ok(&world, &arguments)),
                _ => drop(world.peer_ok(&arguments)),
            }
            let apply = ["static-delta", "apply-offline", "delta/file"];
            let all: &[&str] = &["bare", "bare-user", "archive"];
            for mode in if variant.is_empty() { all } else { &["bare-user"] } {
                receiver(&world, "to", mode);
                ours_ok(&world, &[&["--repo=to"], &apply[..]].concat());
                has_the_tip(&world, "to");
            }
            receiver(&world, "to", "bare");
            world.peer_ok(&[&["--repo=to"], &apply[..]].concat());
            has_the_tip(&world, "to");
        }
    }
}

#[test]
fn both_say_the_same_about_deltas() {
    let world = world();
    world.same(&["--repo=repo", "static-delta", "list"]);
    world.same(&["--repo=repo", "static-delta", "indexes"]);
    for options in [&["main"][..], &["--empty", "--to=main", "--min-fallback-size=1"]] {
        let generate = ["--repo=repo", "static-delta", "generate"];
        let ours = ours_ok(&world, &[&generate, options].concat());
        let again = [&generate, options, &["--if-not-exists"]].concat();
        world.same(&again);
        assert_eq!(ours, world.peer_ok(&[&generate, options].concat()));
        ours_ok(&world, &[&generate, options].concat());
    }
    world.same_set(&["--repo=repo", "static-delta", "list"]);
    for name in world.peer_ok(&["--repo=repo", "static-delta", "list"]).lines() {
        world.same(&["--repo=repo", "static-delta", "show", name]);
    }
    ours_ok(&world, &["--repo=repo", "static-delta", "reindex"]);
    world.same(&["--repo=repo", "static-delta", "indexes"]);
    let indexes = |world: &World| files(&world.path("repo/delta-indexes"));
    let ours = indexes(&world);
    fs::remove_dir_all(world.path("repo/delta-indexes")).unwrap();
    world.peer_ok(&["--repo=repo", "static-delta", "reindex"]);
    assert_eq!(ours, indexes(&world));

    let sum = "00".repeat(32);
    let refused: &[&[&str]] = &[
        &["show"],
        &["show", "zzz"],
        &["delete"],
        &["delete", "zzz"],
        &["delete", &sum],
        &["generate"],
        &["generate", "nowhere"],
        &["generate", "--from=main", "--empty", "main"],
        &["generate", "--set-endianness=q", "main"],
        &["apply-offline"],
    ];
    for arguments in refused {
        let arguments = [&["--repo=repo", "static-delta"], *arguments].concat();
        let (ours, theirs) = (world.ours(&arguments), world.peer(&arguments));
        assert_eq!((ours.code, ours.error()), (theirs.code, theirs.error()), "{arguments:?}");
    }
    for name in world.peer_ok(&["--repo=repo", "static-delta", "list"]).lines() {
        ours_ok(&world, &["--repo=repo", "static-delta", "delete", name]);
    }
    world.same(&["--repo=repo", "static-delta", "list"]);
}

/// The files below a folder with their content, in order.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                // A symbolic link that leads nowhere has no content.
                found.push((path.clone(), fs::read(path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn equal_input_makes_equal_deltas_that_are_smaller_than_the_peers() {
    let world = world();
    let mut sizes = Vec::new();
    for (name, ours) in [("first", true), ("second", true), ("third", false)] {
        fs::create_dir(world.path(name)).unwrap();
        let file = format!("--filename={}", world.path(name).join("file").display());
        let arguments = ["--repo=repo", "static-delta", "generate", &file, "main"];
        let _ = if ours { ours_ok(&world, &arguments) } else { world.peer_ok(&arguments) };
        let part = fs::read(world.path(name).join("0")).unwrap();
        sizes.push(part.len());
        if name == "second" {
            assert_eq!(part, fs::read(world.path("first/0")).unwrap());
        }
    }
    assert!(sizes[0] * 100 <= sizes[2] * 95, "{sizes:?}");
}

#[test]
fn damage_is_refused_by_name_and_changes_nothing() {
    let world = world();
    fs::create_dir(world.path("delta")).unwrap();
    let file = format!("--filename={}", world.path("delta/file").display());
    ours_ok(&world, &["--repo=repo", "static-delta", "generate", &file, "main"]);
    receiver(&world, "to", "bare");
    let objects = |world: &World| {
        let all = files(&world.path("to/objects"));
        all.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    let before = objects(&world);
    let part = fs::read(world.path("delta/0")).unwrap();
    let superblock = fs::read(world.path("delta/file")).unwrap();
    let apply = ["--repo=to", "static-delta", "apply-offline", "delta/file"];
    let refused = |what: &str, wanted: &str| {
        let outcome = world.ours(&apply);
        assert_eq!(outcome.code, 1, "{what}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(wanted), "{what}: {}", outcome.stderr);
        assert_eq!(objects(&world), before, "{what}");
        world.peer_ok(&["fsck", "--repo=to"]);
    };
    for at in [0, 1, part.len() / 2, part.len() - 1] {
        let mut damaged = part.clone();
        damaged[at] ^= 0x10;
        fs::write(world.path("delta/0"), damaged).unwrap();
        refused(&format!("byte {at}"), "Checksum mismatch in static delta part");
    }
    fs::write(world.path("delta/0"), &part[..part.len() - 9]).unwrap();
    refused("cut short", "Checksum mismatch in static delta part");
    fs::write(world.path("delta/0"), [&part[..], b"more"].concat()).unwrap();
    refused("too long", "Checksum mismatch in static delta part");
    fs::remove_file(world.path("delta/0")).unwrap();
    refused("no part", "No such file");
    fs::write(world.path("delta/0"), &part).unwrap();
    fs::write(world.path("delta/file"), &superblock[..superblock.len() / 2]).unwrap();
    refused("superblock cut short", "error: ");
    fs::write(world.path("delta/file"), &superblock).unwrap();
    ours_ok(&world, &apply);
    has_the_tip(&world, "to");
}

#[test]
fn a_pull_by_delta_fetches_no_object_by_itself() {
    let world = world();
    for by in ["ours", "peer"] {
        let generate = ["--repo=repo", "static-delta", "generate", "main"];
        let summary = ["--repo=repo", "summary", "--update"];
        if by == "ours" {
            ours_ok(&world, &generate);
            ours_ok(&world, &summary);
        } else {
            world.peer_ok(&generate);
            world.peer_ok(&summary);
        }
        let server = updraft_http::testing::Server::files(world.path("repo"));
        for mode in ["bare", "bare-user"] {
            receiver(&world, "to", mode);
            let url = server.url();
            world.peer_ok(&["--repo=to", "remote", "add", "--no-gpg-verify", "o", &url]);
            let seen = server.paths().len();
            let said = ours_ok(&world, &["--repo=to", "pull", "o", "main"]);
            assert!(said.starts_with("1 delta parts, "), "{said}");
            let objects = server.paths().split_off(seen);
            let objects: Vec<_> = objects
                .iter()
                .filter(|path| path.contains("/objects/") && !path.ends_with(".commitmeta"))
                .collect();
            assert!(objects.is_empty(), "{objects:?}");
            has_the_tip(&world, "to");
        }
        receiver(&world, "to", "bare");
        world.peer_ok(&["--repo=to", "remote", "add", "--no-gpg-verify", "o", &server.url()]);
        world.peer_ok(&["--repo=to", "pull", "--require-static-deltas", "o", "main"]);
        has_the_tip(&world, "to");
    }
}

#[test]
fn an_index_that_cannot_be_understood_lists_nothing() {
    let world = World::new("archive");
    world.peer_ok(&["--repo=repo", "config", "set", "core.no-deltas-in-summary", "true"]);
    world.peer_ok(&["--repo=repo", "static-delta", "generate", "--empty", "main"]);
    world.peer_ok(&["--repo=repo", "summary", "--update"]);
    let folders = fs::read_dir(world.path("repo/delta-indexes")).unwrap();
    for folder in folders {
        for index in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::write(index.unwrap().path(), "garbage").unwrap();
        }
    }
    let serve = ["trivial-httpd", "--autoexit", "--daemonize", "-p", "port", "repo"];
    assert!(world.our_command(&serve).status().unwrap().success());
    let port = fs::read_to_string(world.path("port")).unwrap();
    let url = format!("http://127.0.0.1:{}", port.trim());
    for (options, code) in [(&[][..], 0), (&["--require-static-deltas"], 1)] {
        let pull = |name: &str| {
            let repo = format!("--repo={name}");
            drop(fs::remove_dir_all(world.path(name)));
            world.peer_ok(&["init", &repo, "--mode=bare-user"]);
            world.peer_ok(&["remote", &repo, "add", "--no-gpg-verify", "o", &url]);
            let words = [&["pull", &repo][..], options, &["o", "main"]].concat();
            if name == "mine" { world.ours(&words) } else { world.peer(&words) }
        };
        let (ours, theirs) = (pull("mine"), pull("theirs"));
        assert_eq!((ours.code, ours.error()), (code, theirs.error()), "{options:?}");
        assert_eq!(theirs.code, code, "{options:?}");
    }
}
