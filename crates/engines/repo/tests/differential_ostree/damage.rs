//! Damaged repositories: each damage is found, named, and never passed on.

use std::fs;
use std::path::{Path, PathBuf};

use updraft_repo::checkout::CheckoutOptions;

use super::{World, ours, peer};

/// The first object file with this suffix whose content passes `accept`.
fn object(repo: &Path, suffix: &str, accept: impl Fn(&[u8]) -> bool) -> PathBuf {
    let mut found = Vec::new();
    for folder in fs::read_dir(repo.join("objects")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let is_file = fs::symlink_metadata(&path).unwrap().is_file();
            if is_file && path.extension().is_some_and(|e| e == suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.into_iter().find(|path| accept(&fs::read(path).unwrap())).unwrap()
}

/// The name of an object by its path.
fn checksum(path: &Path) -> String {
    let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
    format!("{folder}{}", path.file_stem().unwrap().to_str().unwrap())
}

/// Replaces an object file, whatever its permissions.
fn overwrite(path: &Path, content: &[u8]) {
    let user_meta = rustix_xattr(path);
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
    if let Some(value) = user_meta {
        super::tree::xattr(path, "user.ostreemeta", &value);
    }
}

fn rustix_xattr(path: &Path) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(path, "user.ostreemeta", &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// How an object is damaged.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Missing,
    Empty,
    Truncated,
    Flipped,
    Longer,
    Garbage,
}

impl Damage {
    const ALL: [Self; 6] =
        [Self::Missing, Self::Empty, Self::Truncated, Self::Flipped, Self::Longer, Self::Garbage];

    fn apply(self, path: &Path) {
        let mut content = fs::read(path).unwrap();
        match self {
            Self::Missing => return fs::remove_file(path).unwrap(),
            Self::Empty => content.clear(),
            Self::Truncated => content.truncate(content.len() / 2),
            Self::Flipped => {
                let at = content.len() / 2;
                content[at] ^= 0x10;
            }
            Self::Longer => content.extend_from_slice(b"more"),
            Self::Garbage => content.fill(0xa5),
        }
        overwrite(path, &content);
    }
}

#[test]
fn every_damage_is_found_and_named() {
    let world = World::small();
    fs::write(world.path("tree/longer"), "some longer content ".repeat(100)).unwrap();
    for mode in ["archive", "bare", "bare-user"] {
        let content = if mode == "archive" { "filez" } else { "file" };
        for (suffix, least) in [(content, 30), ("dirtree", 30), ("dirmeta", 0), ("commit", 0)] {
            for damage in Damage::ALL {
                let what = format!("{mode}, {suffix}, {damage:?}");
                if suffix == "filez" && matches!(damage, Damage::Longer) {
                    // What follows the end of a deflate stream is no part of the object.
                    continue;
                }
                let path = world.path(format!("{mode}-{suffix}-{damage:?}"));
                let repo = ours::init(&path, mode);
                ours::commit(&repo, "main", &world.path("tree"));
                let victim = object(&path, suffix, |bytes| bytes.len() >= least);
                let name = checksum(&victim);
                damage.apply(&victim);

                // Nothing of it reaches another repository.
                let other = ours::init(&world.path("other"), "archive");
                let error = ours::try_pull_local(&other, &repo, &["main"]).unwrap_err();
                assert!(error.contains(&name), "{what}: pull says {error}");
                assert!(other.refs().unwrap().is_empty(), "{what}: a ref was written");
                ours::fsck(&other);
                fs::remove_dir_all(other.path()).unwrap();

                let out = world.path("out");
                let result = ours::checkout(&repo, "main", &out, &CheckoutOptions::default());
                // A hard link does not read what it links: only fsck and pull see that.
                let unread =
                    mode == "bare" && suffix == "file" && !matches!(damage, Damage::Missing);
                if !unread {
                    let said = result.expect_err(&what);
                    assert!(said.contains(&name), "{what}: checkout says {said}");
                }
                if out.exists() {
                    fs::remove_dir_all(&out).unwrap();
                }

                let found = ours::fsck_finds(&repo);
                assert!(found.contains(&name), "{what}: fsck does not name {name}: {found}");
                assert!(!peer::run(&path, &["fsck"]).status.success(), "{what}: the peer's fsck");
            }
        }
    }
}

#[test]
fn a_ref_that_is_no_checksum_is_refused() {
    let world = World::small();
    let repo = ours::init(&world.path("repo"), "archive");
    ours::commit(&repo, "main", &world.path("tree"));
    for content in ["", "\n", "abc\n", "zz", &"f".repeat(65)] {
        fs::write(world.path("repo/refs/heads/main"), content).unwrap();
        assert!(repo.resolve("main").is_err(), "{content:?}");
    }
}

#[test]
fn deleted_objects_come_back_with_the_next_pull() {
    let world = World::nasty_and_large();
    let source = world.path("source");
    peer::init(&source, "archive");
    peer::commit(&source, "main", &world.path("tree"), &[]);
    let path = world.path("mine");
    let repo = ours::init(&path, "bare");
    ours::pull_local(&repo, &ours::open(&source), &["main"]);
    Damage::Flipped.apply(&object(&path, "file", |bytes| bytes.len() > 1000));
    Damage::Garbage.apply(&object(&path, "dirtree", |bytes| bytes.len() > 30));
    ours::fsck_delete(&repo);
    ours::pull_local(&repo, &ours::open(&source), &["main"]);
    ours::fsck(&repo);
    peer::fsck(&path);
}
