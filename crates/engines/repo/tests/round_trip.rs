//! What goes in comes out: commits, checkouts and imports of this crate against each other and
//! against the real `ostree`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_possible_truncation)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::checkout::{CheckoutOptions, checkout};
use updraft_repo::commit::{CommitOptions, ModeChange, Parent, TreeSource, commit};
use updraft_repo::{InitOptions, Repo};
use updraft_task::Context;

const MODES: [RepoMode; 4] =
    [RepoMode::Bare, RepoMode::BareUser, RepoMode::BareUserOnly, RepoMode::Archive];

fn options() -> CommitOptions {
    CommitOptions {
        branch: Some("main".parse().unwrap()),
        subject: "subject".into(),
        timestamp: 1_700_000_000,
        ..CommitOptions::default()
    }
}

fn commit_folder(repo: &Repo, path: &Path) -> Checksum {
    let sources = [TreeSource::Directory(path.to_owned())];
    commit(&Context::silent(), repo, &sources, &options()).unwrap().checksum
}

fn ostree(repo: &Path, arguments: &[&str]) -> String {
    let output = Command::new("ostree")
        .arg(format!("--repo={}", repo.display()))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ostree {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("empty/deeper")).unwrap();
    fs::write(root.join("usr/bin/tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("usr/bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    fs::write(root.join("ünï"), "name").unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
    fs::write(root.join("large"), large).unwrap();
    fs::hard_link(root.join("large"), root.join("usr/same")).unwrap();
    symlink("usr/bin/tool", root.join("link")).unwrap();
}

#[test]
fn every_mode_agrees_with_the_peer_and_gives_back_what_it_got() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    for mode in MODES {
        let (mine, theirs) = (
            folder.path().join(format!("mine-{mode}")),
            folder.path().join(format!("theirs-{mode}")),
        );
        let repo = Repo::init(&mine, mode, &InitOptions::default()).unwrap();
        let first = commit_folder(&repo, &tree);
        ostree(&theirs, &["init", &format!("--mode={mode}")]);
        let time = "--timestamp=@1700000000";
        let expected = ostree(
            &theirs,
            &["commit", "--branch=main", "--subject=subject", time, tree.to_str().unwrap()],
        );
        assert_eq!(first.to_string(), expected, "{mode}");
        ostree(&mine, &["fsck"]);
        let out = folder.path().join(format!("out-{mode}"));
        checkout(&Context::silent(), &repo, &first, &out, &CheckoutOptions::default()).unwrap();
        // What was checked out is the same tree again, unless the mode forgets owners.
        let again = CommitOptions { parent: Parent::None, ..options() };
        let sources = [TreeSource::Directory(out)];
        let second = commit(&Context::silent(), &repo, &sources, &again).unwrap();
        assert_eq!(second.checksum, first, "{mode}");
        assert_eq!(second.stats.content_written, 0, "{mode}: everything was there");
        assert_eq!(repo.resolve("main").unwrap(), first);
        assert_eq!(repo.resolve(&first.to_string()[..8]).unwrap(), first);
    }
}

#[test]
fn linked_files_are_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    let repo =
        Repo::init(folder.path().join("repo"), RepoMode::Bare, &InitOptions::default()).unwrap();
    let first = commit_folder(&repo, &tree);
    let out = folder.path().join("out");
    checkout(&Context::silent(), &repo, &first, &out, &CheckoutOptions::default()).unwrap();
    fs::write(out.join("new"), "new").unwrap();
    let linked = CommitOptions { link_checkout_speedup: true, ..options() };
    let sources = [TreeSource::Directory(out.clone())];
    let outcome = commit(&Context::silent(), &repo, &sources, &linked).unwrap();
    // Read are only the empty file, which is never a link, and the new one.
    assert_eq!((outcome.stats.cache_hits, outcome.stats.content_total), (5, 2));
    let plain = CommitOptions { parent: Parent::Commit(first), ..options() };
    let again = commit(&Context::silent(), &repo, &sources, &plain).unwrap();
    assert_eq!(outcome.checksum, again.checksum);
}

#[test]
fn a_file_is_adopted_only_with_the_xattrs_that_its_object_has() {
    let folder = tempfile::tempdir().unwrap();
    let repo =
        Repo::init(folder.path().join("repo"), RepoMode::Bare, &InitOptions::default()).unwrap();
    for (no_xattrs, with_xattr, adopted) in
        [(false, true, true), (false, false, true), (true, false, true), (true, true, false)]
    {
        let tree = folder.path().join(format!("tree-{no_xattrs}-{with_xattr}"));
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), format!("{no_xattrs} {with_xattr}")).unwrap();
        let file = fs::File::open(tree.join("file")).unwrap();
        if with_xattr {
            updraft_fs::xattr::set(&file, "user.test", b"value").unwrap();
        }
        let options = CommitOptions { adopt: true, no_xattrs, ..options() };
        let sources = [TreeSource::Directory(tree.clone())];
        let checksum =
            commit(&Context::silent(), &repo, &sources, &options).unwrap().checksum.to_string();
        let out = folder.path().join("out");
        let checkout_options = CheckoutOptions::default();
        checkout(&Context::silent(), &repo, &checksum.parse().unwrap(), &out, &checkout_options)
            .unwrap();
        let inode = |path: &Path| path.metadata().unwrap().ino();
        let same = inode(&out.join("file")) == inode(&tree.join("file"));
        assert_eq!(same, adopted, "{no_xattrs} {with_xattr}");
        ostree(repo.path(), &["fsck"]);
        fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn nothing_is_left_of_a_commit_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    let repo =
        Repo::init(folder.path().join("repo"), RepoMode::Archive, &InitOptions::default()).unwrap();
    let mut unmatched = options();
    unmatched.statoverride.insert("/absent".into(), ModeChange::Add(1));
    let sources = [TreeSource::Directory(tree)];
    let error = commit(&Context::silent(), &repo, &sources, &unmatched).unwrap_err();
    let updraft_repo::Error::Unmatched { list, paths } = error else { panic!("{error}") };
    assert_eq!((list, paths.as_slice()), ("statoverride", &["/absent".to_owned()][..]));
    assert!(repo.list_objects().unwrap().is_empty());
    assert!(repo.refs().unwrap().is_empty());
    let left = fs::read_dir(repo.path().join("tmp")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cache"]);
}

#[test]
fn a_repository_may_lie_in_the_tree_that_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("tree"));
    for number in 0..200 {
        symlink(format!("target{number}"), folder.path().join(format!("tree/link{number}")))
            .unwrap();
    }
    let path = folder.path().join("tree/repo");
    let repo = Repo::init(path, RepoMode::Bare, &InitOptions::default()).unwrap();
    // The second time, what the first one stored is part of the tree.
    for _ in 0..2 {
        commit_folder(&repo, &folder.path().join("tree"));
    }
}

#[test]
fn an_unchanged_tree_makes_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    let repo =
        Repo::init(folder.path().join("repo"), RepoMode::Archive, &InitOptions::default()).unwrap();
    let first = commit_folder(&repo, &tree);
    let later = CommitOptions { skip_if_unchanged: true, timestamp: 1_800_000_000, ..options() };
    let sources = [TreeSource::Directory(tree.clone())];
    let same = commit(&Context::silent(), &repo, &sources, &later).unwrap();
    assert!(!same.changed && same.checksum == first);
    fs::write(tree.join("new"), "new").unwrap();
    let sources = [TreeSource::Directory(tree)];
    let other = commit(&Context::silent(), &repo, &sources, &later).unwrap();
    assert!(other.changed);
    assert_eq!(repo.resolve("main^").unwrap(), first);
}

#[test]
fn a_cancelled_commit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    let repo =
        Repo::init(folder.path().join("repo"), RepoMode::Archive, &InitOptions::default()).unwrap();
    let ctx = Context::silent();
    ctx.cancel.cancel();
    let error = commit(&ctx, &repo, &[TreeSource::Directory(tree)], &options()).unwrap_err();
    assert_eq!(updraft_error::Classify::kind(&error), updraft_error::Kind::Cancelled);
    assert!(repo.refs().unwrap().is_empty());
}

#[derive(Debug, Clone)]
enum Item {
    File(Vec<u8>, u32),
    Link(String),
    Folder,
}

fn items() -> impl Strategy<Value = Vec<(String, Item)>> {
    let item = prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..2000), 0_u32..0o10000)
            .prop_map(|(bytes, mode)| Item::File(bytes, mode)),
        "[a-z/]{1,20}".prop_map(Item::Link),
        Just(Item::Folder),
    ];
    proptest::collection::vec(("[a-zé]{1,3}", item), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_survives_any_mode_that_can_keep_it(items in items()) {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        for (name, item) in &items {
            let path = tree.join(name);
            if path.symlink_metadata().is_ok() {
                continue;
            }
            match item {
                Item::File(bytes, mode) => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                }
                Item::Link(target) => symlink(target, &path).unwrap(),
                Item::Folder => fs::create_dir(&path).unwrap(),
            }
        }
        let mut sums = Vec::new();
        for mode in [RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive] {
            let path = folder.path().join(mode.as_str());
            let repo = Repo::init(&path, mode, &InitOptions::default()).unwrap();
            let sum = commit_folder(&repo, &tree);
            for object in repo.list_objects().unwrap() {
                repo.verify_object(&object).unwrap();
            }
            let out = folder.path().join(format!("out-{mode}"));
            checkout(&Context::silent(), &repo, &sum, &out, &CheckoutOptions::default()).unwrap();
            sums.push(sum);
            sums.push(commit(
                &Context::silent(),
                &repo,
                &[TreeSource::Directory(out)],
                &CommitOptions { parent: Parent::None, ..options() },
            ).unwrap().checksum);
        }
        sums.dedup();
        prop_assert_eq!(sums.len(), 1);
    }
}
