//! The crate against a real file system.

use std::io::Write;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use updraft_fs::fault::{Fault, Injection};
use updraft_fs::{Dir, FileKind, LockFile, LockMode, TempFile, atomic_write, remove_tree, xattr};
use updraft_task::Context;

fn scratch() -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let dir = Dir::open(folder.path()).expect("it was just made");
    (folder, dir)
}

#[test]
fn atomic_write_replaces_and_leaves_nothing_behind() {
    let (_folder, dir) = scratch();
    atomic_write(&dir, "a", b"one", 0o600).unwrap();
    atomic_write(&dir, "a", b"two", 0o644).unwrap();
    assert_eq!(dir.read("a", 10).unwrap(), b"two");
    assert_eq!(dir.metadata("a").unwrap().permissions(), 0o644);
    assert_eq!(dir.entries().unwrap().len(), 1);
}

#[test]
fn a_failing_disk_keeps_the_old_content_at_every_step() {
    let (_folder, dir) = scratch();
    atomic_write(&dir, "a", b"old", 0o600).unwrap();
    for operation in 0.. {
        let injection = Injection::after(operation, Fault::Full);
        let result = atomic_write(&dir, "a", b"new content", 0o600);
        let struck = injection.has_struck() && result.is_err();
        drop(injection);
        let content = dir.read("a", 100).unwrap();
        assert!(content == b"old" || content == b"new content", "{content:?}");
        if !struck {
            assert_eq!(content, b"new content");
            assert!(operation > 3);
            break;
        }
    }
}

#[test]
fn temp_file_does_not_replace_unless_told() {
    let (_folder, dir) = scratch();
    let file = |content: &[u8]| {
        let mut file = TempFile::new_in(&dir).unwrap();
        file.write_all(content).unwrap();
        file
    };
    assert!(file(b"1").persist_new(&dir, "x").unwrap());
    assert!(!file(b"2").persist_new(&dir, "x").unwrap());
    assert_eq!(dir.read("x", 9).unwrap(), b"1");
    file(b"3").persist_replace(&dir, "x").unwrap();
    assert_eq!(dir.read("x", 9).unwrap(), b"3");
    drop(file(b"4"));
    assert_eq!(dir.entries().unwrap().len(), 1);
}

#[test]
fn reading_has_a_limit() {
    let (_folder, dir) = scratch();
    atomic_write(&dir, "a", b"12345", 0o600).unwrap();
    assert_eq!(dir.read("a", 5).unwrap(), b"12345");
    let error = dir.read("a", 4).unwrap_err();
    assert_eq!(error.io_kind(), std::io::ErrorKind::FileTooLarge);
    assert!(dir.try_read("b", 4).unwrap().is_none());
}

#[test]
fn attributes_round_trip_on_files_and_directories() {
    let (_folder, dir) = scratch();
    let file = dir.create_file("a", 0o600).unwrap();
    xattr::set(&file, "user.b", b"2").unwrap();
    xattr::set(&file, "user.a", &vec![7; 1000]).unwrap();
    let all = xattr::all_at(&dir, "a").unwrap();
    assert_eq!(all, [("user.a".into(), vec![7; 1000]), ("user.b".into(), b"2".to_vec())]);
    assert_eq!(xattr::get(dir.as_fd(), "user.none").unwrap(), None);
    assert!(xattr::remove(&file, "user.b").unwrap());
    assert!(!xattr::remove(&file, "user.b").unwrap());
    dir.symlink("nowhere", "link").unwrap();
    assert_eq!(xattr::all_at(&dir, "link").unwrap(), []);
}

/// A program that another thread starts has all open files until it is executed.
#[test]
fn a_lock_that_is_dropped_is_free_whoever_else_has_its_file() {
    let (_folder, dir) = scratch();
    let lock = || LockFile::try_acquire(&dir, ".lock", LockMode::Exclusive).unwrap();
    let held = lock().unwrap();
    let inherited = held.file().try_clone().unwrap();
    let mut other = Command::new("sleep").arg("60").stdin(inherited).spawn().unwrap();
    assert!(lock().is_none());
    drop(held);
    let free = lock().is_some();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(free);
}

#[test]
fn locks_exclude_each_other_as_they_should() {
    let (_folder, dir) = scratch();
    let shared = LockFile::try_acquire(&dir, ".lock", LockMode::Shared).unwrap().unwrap();
    let second = LockFile::try_acquire(&dir, ".lock", LockMode::Shared).unwrap().unwrap();
    assert!(LockFile::try_acquire(&dir, ".lock", LockMode::Exclusive).unwrap().is_none());
    let ctx = Context::silent();
    let wait = Duration::from_millis(1);
    let busy = LockFile::acquire(&ctx, &dir, ".lock", LockMode::Exclusive, wait).unwrap_err();
    assert_eq!(busy.io_kind(), std::io::ErrorKind::ResourceBusy);
    drop((shared, second));
    let exclusive = LockFile::try_acquire(&dir, ".lock", LockMode::Exclusive).unwrap().unwrap();
    assert_eq!(exclusive.mode(), LockMode::Exclusive);
    assert!(LockFile::try_acquire(&dir, ".lock", LockMode::Shared).unwrap().is_none());
}

#[test]
fn trees_are_removed_without_following_links() {
    let (_folder, dir) = scratch();
    dir.ensure_dir_all("keep/me", 0o755).unwrap();
    let inner = dir.ensure_dir_all("tree/a/b", 0o755).unwrap();
    inner.create_file("file", 0o600).unwrap();
    inner.symlink("../../../keep", "link").unwrap();
    remove_tree(&dir, "tree").unwrap();
    remove_tree(&dir, "tree").unwrap();
    assert!(!dir.exists("tree").unwrap());
    assert_eq!(dir.metadata("keep/me").unwrap().kind, FileKind::Directory);
}

#[test]
fn contents_are_copied_whole() {
    let (_folder, dir) = scratch();
    for size in [0usize, 1, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        atomic_write(&dir, "from", &bytes, 0o600).unwrap();
        let target = TempFile::new_in(&dir).unwrap();
        updraft_fs::copy::contents(&dir.open_file("from").unwrap(), target.file()).unwrap();
        target.persist_replace(&dir, "to").unwrap();
        assert_eq!(dir.read("to", 1 << 20).unwrap(), bytes);
    }
}

#[test]
fn links_are_not_opened() {
    let (_folder, dir) = scratch();
    atomic_write(&dir, "file", b"secret", 0o600).unwrap();
    dir.symlink("file", "link").unwrap();
    assert!(dir.open_file("link").is_err());
    assert_eq!(dir.read_link("link").unwrap(), std::path::Path::new("file"));
    updraft_fs::atomic_symlink(&dir, "link", "other").unwrap();
    assert_eq!(dir.read_link("link").unwrap(), std::path::Path::new("other"));
    let way = dir.ensure_dir("way", 0o700).unwrap();
    updraft_fs::symlink_by_way_of(&way, (&dir, "link".as_ref()), "third").unwrap();
    assert_eq!(dir.read_link("link").unwrap(), std::path::Path::new("third"));
    assert!(way.entries().unwrap().is_empty());
}

#[test]
fn a_file_system_that_cannot_be_frozen_is_synced() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let dir = Dir::open(folder.path()).unwrap();
    let flushed = updraft_fs::flush::for_boot_loader(&dir).unwrap();
    assert_eq!(flushed, updraft_fs::flush::Flushed::Synced);
    assert!(updraft_fs::space::of(&dir).unwrap().total > 0);
}

#[test]
fn a_sealed_file_can_be_named_but_not_changed() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open(folder.path()).unwrap();
    let mut file = updraft_fs::TempFile::new_in(&dir).unwrap();
    file.write_all(b"hello\n").unwrap();
    let support = file.seal().unwrap();
    assert!(file.write_all(b"more").is_err());
    file.set_mode(0o644).unwrap();
    file.sync().unwrap();
    assert!(file.persist_new(&dir, "name").unwrap());
    assert_eq!(dir.read("name", 100).unwrap(), b"hello\n");
    let measured = updraft_fs::verity::measure(&dir.open_file("name").unwrap());
    assert_eq!(measured.is_some(), support == updraft_fs::verity::Support::Sealed);
}
