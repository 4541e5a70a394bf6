//! Composefs images: the same bytes as libostree 2026.5 makes, and what the kernel shows of them.
//!
//! Debian's `ostree` knows nothing of composefs, so the peer is what a newer one wrote.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use updraft_composefs::VerityDigest;

use super::world::World;

/// The image of [`plant`]'s tree: its SHA-256, and its fs-verity digest.
const IMAGE: &str = "098cc8b4dedc6ea8e527202bcaa0273b1b226e0316d7ba921544d91706641e08";
const IMAGE_DIGEST: &str = "493ff2261e513ccd68389dcdf2a9d564e0b98f971b4d3c890a63ee5d4eb09c4c";
const IMAGE_WITHOUT: &str = "681108013c06cddf24ec6a71418b1f2621e6e8a1d651458a7bec93840812bcaa";
/// The commit of it that carries the digest.
const COMMIT: &str = "862a9677a44d93b797091f62365e83ee5b3eb0b3509c00cbf1105af6571332a7";

/// A repository `cfs` with the commit `v` of a small tree.
fn plant(world: &World, mode: &str) -> String {
    let tree = world.path("small");
    if !tree.exists() {
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(tree.join("hello"), "hello\n").unwrap();
        fs::write(tree.join("sub/x"), "x").unwrap();
        for (name, mode) in [(".", 0o755), ("sub", 0o755), ("hello", 0o644), ("sub/x", 0o755)] {
            fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("hello", tree.join("link")).unwrap();
    }
    let repo = format!("--repo=cfs-{mode}");
    assert_eq!(world.ours(&["init", &repo, &format!("--mode={mode}")]).code, 0);
    let outcome = world.ours(&[
        "commit",
        &repo,
        "--branch=v",
        "--subject=subj",
        "--body=body",
        "--timestamp=@1700000000",
        "--add-metadata-string=version=1.0",
        "--no-bindings",
        "--no-xattrs",
        "--canonical-permissions",
        "--generate-composefs-metadata",
        "small",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    outcome.stdout.trim().to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    updraft_ostree::Checksum::of(bytes).to_string()
}

#[test]
fn images_and_commits_are_the_newer_peers() {
    let world = World::new("archive");
    for mode in ["archive", "bare", "bare-user", "bare-user-only"] {
        assert_eq!(plant(&world, mode), COMMIT, "{mode}");
        let repo = format!("--repo=cfs-{mode}");
        let digest = "--print-metadata-key=ostree.composefs.digest.v0";
        let shown = world.ours(&["show", &repo, "--print-hex", digest, "v"]);
        assert_eq!(shown.stdout.trim(), IMAGE_DIGEST, "{}", shown.stderr);
        let outcome = world.ours(&["checkout", &repo, "--composefs", "v", "image"]);
        assert_eq!(outcome.code, 0, "{mode}: {}", outcome.stderr);
        let image = fs::read(world.path("image")).unwrap();
        assert_eq!((sha256(&image).as_str(), mode), (IMAGE, mode));
        assert_eq!(VerityDigest::of(&image).to_string(), IMAGE_DIGEST);
        let outcome = world.ours(&["checkout", &repo, "--composefs-noverity", "v", "image"]);
        assert_eq!(outcome.code, 0, "{mode}: {}", outcome.stderr);
        let image = fs::read(world.path("image")).unwrap();
        assert_eq!((sha256(&image).as_str(), mode), (IMAGE_WITHOUT, mode));
        world.peer_ok(&["fsck", &repo]);
    }
}

#[test]
fn a_commit_with_another_digest_is_refused() {
    let world = World::new("archive");
    plant(&world, "bare");
    let lie = format!("--add-metadata=ostree.composefs.digest.v0=[byte 0x01{}]", ", 2".repeat(31));
    let fixed = ["commit", "--repo=cfs-bare", "--branch=lie", "--timestamp=@5", "small"];
    assert_eq!(world.ours(&[&fixed[..], &[&lie]].concat()).code, 0);
    let outcome = world.ours(&["checkout", "--repo=cfs-bare", "--composefs", "lie", "image"]);
    assert_ne!(outcome.code, 0);
    assert!(outcome.error().contains("doesn't match expected digest (0102"), "{}", outcome.stderr);
    assert!(!world.path("image").exists());
}

#[test]
fn no_other_option_goes_with_an_image() {
    let world = World::new("archive");
    for option in ["--whiteouts", "--force-copy", "--subpath=/x", "--require-hardlinks"] {
        let outcome = world.ours(&["checkout", "--repo=repo", "--composefs", option, "main", "i"]);
        let expected = "error: Specified options are incompatible with --composefs";
        assert_eq!((outcome.error(), outcome.code != 0), (expected, true));
    }
}

#[test]
fn verity_that_is_wanted_but_cannot_be_had_is_an_error() {
    let world = World::new("bare");
    let set = |value: &str| {
        let outcome = world.ours(&["config", "--repo=repo", "set", "ex-integrity.fsverity", value]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        world.ours(&[
            "commit",
            "--repo=repo",
            "--branch=x",
            &format!("--subject={value}"),
            "--no-xattrs",
            "tree",
        ])
    };
    assert_eq!(set("maybe").code, 0);
    let required = set("yes");
    // On a file system with fs-verity the object is sealed.
    if required.code == 0 {
        return;
    }
    let expected = "fsverity required but filesystem does not support it";
    assert!(required.error().contains(expected), "{}", required.stderr);
}

/// What the kernel shows of an image over its repository is what a checkout shows.
#[test]
fn the_kernel_shows_the_tree() {
    let world = World::new("bare");
    for number in 0..300 {
        fs::write(world.path(format!("tree/sub/deep/file {number}")), [b'x'; 9]).unwrap();
    }
    let commit = ["commit", "--repo=repo", "--branch=main", "--tree=dir=tree"];
    assert_eq!(world.ours(&commit).code, 0);
    assert_eq!(world.ours(&["checkout", "--repo=repo", "--composefs", "main", "image"]).code, 0);
    assert_eq!(world.ours(&["checkout", "--repo=repo", "-C", "main", "out"]).code, 0);
    for name in ["usr", "etc", "boot", "var", "sysroot", "out/usr", "out/etc", "out/boot"] {
        fs::create_dir_all(world.path(name)).unwrap();
    }
    for name in ["out/var", "out/sysroot", "lower", "shown"] {
        fs::create_dir_all(world.path(name)).unwrap();
    }
    // A mount namespace of its own: nothing stays mounted, whatever happens.
    let script = "mount -t erofs -o loop,ro image lower || exit 77
        lower=$PWD/lower:$PWD/repo/objects
        mount -t overlay -o ro,redirect_dir=on,metacopy=on,lowerdir=$lower none shown || exit 77
        list() { cd $1; find . -printf '%p %M %U %G %l\\n' | sort; cd ..; }
        list shown >a; list out >b; diff a b && diff -r --no-dereference shown out &&
        getfattr --only-values -n user.note shown/hello | grep -qx 'on the file'";
    let outcome = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .current_dir(world.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    // 77: this kernel cannot mount it.
    assert!(matches!(outcome.status.code(), Some(0 | 77)), "{said}");
}
