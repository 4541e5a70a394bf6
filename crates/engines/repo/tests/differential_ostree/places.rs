//! Repositories that are not there, cannot be written or have no room, and trees that no
//! repository can hold.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_error::Kind;
use updraft_repo::Repo;
use updraft_repo::checkout::CheckoutOptions;

use super::{World, ours, peer, tree};

/// A file system of its own, unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "updraft-test"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(status.success(), "tests run as root and may mount");
        Self(at)
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the folder goes away with the test machine.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn what_is_no_repository_is_named() {
    let world = World::small();
    let file = world.path("tree/hello");
    for path in [world.path("missing"), world.path("tree"), file] {
        let error = Repo::open(&path).map(drop).unwrap_err();
        let text = ours::chain(&error);
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        peer::fails(&path, &["refs"]);
    }
    let path = world.path("repo");
    ours::init(&path, "archive");
    for config in ["", "nonsense", "[core]\nmode=archive\n", "[core]\nrepo_version=1\nmode=zip\n"] {
        fs::write(path.join("config"), config).unwrap();
        let error = Repo::open(&path).map(drop).expect_err(config);
        assert!(!ours::chain(&error).is_empty());
        peer::fails(&path, &["refs"]);
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_no_ref() {
    let world = World::nasty_and_large();
    for mode in ["archive", "bare"] {
        let mount = Mount::tmpfs(world.path(mode), "size=8m");
        let path = mount.0.join("repo");
        let repo = ours::init(&path, mode);
        let error = ours::try_commit(&repo, "main", &world.path("tree"), |_| {}).unwrap_err();
        assert_eq!(error.0, Kind::Exhausted, "{mode}: {}", error.1);
        assert!(repo.refs().unwrap().is_empty());
        ours::fsck(&repo);

        // There is room for a small tree afterwards: what was staged is gone or used again.
        tree::small(&world.path("small"));
        ours::commit(&repo, "main", &world.path("small"));
        peer::fsck(&path);

        let error = ours::checkout_kind(&repo, "main", &mount.0.join("out"));
        assert!(error.is_ok(), "{error:?}");
        fs::remove_dir_all(world.path("small")).unwrap();
    }
}

#[test]
fn a_checkout_to_a_full_disk_is_said() {
    let world = World::nasty_and_large();
    let repo = ours::init(&world.path("repo"), "archive");
    ours::commit(&repo, "main", &world.path("tree"));
    let mount = Mount::tmpfs(world.path("room"), "size=8m");
    let error = ours::checkout_kind(&repo, "main", &mount.0.join("out")).unwrap_err();
    assert_eq!(error.0, Kind::Exhausted, "{}", error.1);
}

#[test]
fn a_read_only_repository_is_read_and_not_written() {
    let world = World::small();
    for mode in ["archive", "bare"] {
        let mount = Mount::tmpfs(world.path(mode), "size=8m");
        let path = mount.0.join("repo");
        let repo = ours::init(&path, mode);
        let commit = ours::commit(&repo, "main", &world.path("tree"));
        mount.remount("ro");

        let repo = ours::open(&path);
        assert_eq!(repo.resolve("main").unwrap(), commit);
        ours::fsck(&repo);
        let out = world.path(format!("out-{mode}"));
        ours::checkout(&repo, "main", &out, &CheckoutOptions::default()).unwrap();
        assert_eq!(fs::read(out.join("hello")).unwrap(), b"hello\n");
        let copy = ours::init(&world.path(format!("copy-{mode}")), "archive");
        ours::pull_local(&copy, &repo, &["main"]);

        let error = ours::try_commit(&repo, "other", &world.path("tree"), |_| {}).unwrap_err();
        assert_eq!(error.0, Kind::Conflict, "{}", error.1);
        assert!(error.1.contains("Read-only"), "{}", error.1);
        assert_eq!(repo.refs().unwrap().len(), 1);
        drop(repo);
    }
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn trees_that_cannot_be_stored_are_refused() {
    type Case = (&'static str, fn(&Path), &'static str);
    let cases: [Case; 4] = [
        ("latin1", tree::latin1, "caf\\xe9"),
        ("fifo", |root| fifo(&root.join("pipe")), "pipe"),
        (
            "link",
            |root| {
                use std::os::unix::ffi::OsStrExt as _;
                let target = std::ffi::OsStr::from_bytes(b"t\xff");
                symlink(target, root.join("to-latin1")).unwrap();
            },
            "t\\xff",
        ),
        (
            "device",
            |root| {
                let mut mknod = Command::new("mknod");
                mknod.arg(root.join("null")).args(["c", "1", "3"]);
                assert!(mknod.status().unwrap().success());
            },
            "null",
        ),
    ];
    for (name, add, named) in cases {
        let world = World::small();
        add(&world.path("tree"));
        let repo = ours::init(&world.path("repo"), "archive");
        let error = ours::try_commit(&repo, "main", &world.path("tree"), |_| {}).unwrap_err();
        assert!(error.1.contains(named), "{name}: {}", error.1);
        assert!(matches!(error.0, Kind::Unsupported | Kind::Invalid), "{name}: {error:?}");
        assert!(repo.refs().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_missing_tree_is_named() {
    let world = World::new();
    let repo = ours::init(&world.path("repo"), "archive");
    let error = ours::try_commit(&repo, "main", &world.path("nowhere"), |_| {}).unwrap_err();
    assert_eq!(error.0, Kind::NotFound);
    assert!(error.1.contains("nowhere"), "{}", error.1);
}
