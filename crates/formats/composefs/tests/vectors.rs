//! Images and digests made by libcomposefs 1.0.8 and the kernel, and made again here.

#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::io::Read as _;

use base64::Engine as _;
use updraft_composefs::{
    Attributes, Directory, File, MerkleTree, Node, Symlink, VerityDigest, VerityHasher, write_image,
};

/// What libostree 2026.5 with libcomposefs 1.0.8 wrote for [`tree`]: base64 of xz.
const IMAGE: &str = include_str!("image.xz.base64");
const IMAGE_DIGEST: &str = "493ff2261e513ccd68389dcdf2a9d564e0b98f971b4d3c890a63ee5d4eb09c4c";
const HELLO: &str = "9c76eecc7b76fcb46199cb27b90cf59a660e10575bb0412128905129d5b1c2aa";
const X: &str = "dbbdfa9d606f7adeaa7f16dcfb0d49161c4cfb82d9d51cfb5cb43fa3dacb9e5b";

fn attributes(permissions: u32) -> Attributes {
    Attributes { permissions, ..Attributes::default() }
}

fn directory(entries: impl IntoIterator<Item = (&'static str, Node)>) -> Directory {
    let entries = entries.into_iter().map(|(name, node)| (name.as_bytes().to_vec(), node));
    Directory { attributes: attributes(0o755), entries: entries.collect() }
}

fn file(permissions: u32, content: &[u8], checksum: &str) -> Node {
    Node::File(File {
        attributes: attributes(permissions),
        size: content.len() as u64,
        backing_path: format!("{}/{}.file", &checksum[..2], &checksum[2..]).into_bytes(),
        digest: Some(VerityDigest::of(content)),
    })
}

fn tree() -> Directory {
    let hello = "44f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b";
    let x = "d474afd297f3fc61b97186b79aeaa37ddb302743c8b3d1d634f9f2ced1675072";
    let link = Symlink { attributes: attributes(0o777), target: b"hello".to_vec() };
    let empty = ["boot", "etc", "sysroot", "usr", "var"];
    let mut root = directory([
        ("hello", file(0o644, b"hello\n", hello)),
        ("link", Node::Symlink(link)),
        ("sub", Node::Directory(directory([("x", file(0o755, b"x", x))]))),
    ]);
    root.entries
        .extend(empty.map(|name| (name.as_bytes().to_vec(), Node::Directory(directory([])))));
    root
}

fn image(root: &Directory) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_image(root.clone(), &mut bytes).expect("the tree fits");
    assert_eq!(bytes.len() % 4096, 0);
    bytes
}

fn without_digests(directory: &mut Directory) {
    for node in directory.entries.values_mut() {
        match node {
            Node::File(file) => file.digest = None,
            Node::Directory(below) => without_digests(below),
            Node::Symlink(_) => {}
        }
    }
}

#[test]
fn image_is_the_peers_to_the_byte() {
    let text: String = IMAGE.split_whitespace().collect();
    let packed = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let mut expected = Vec::new();
    liblzma::read::XzDecoder::new(packed.as_slice()).read_to_end(&mut expected).unwrap();
    let actual = image(&tree());
    if let Some(at) = actual.iter().zip(&expected).position(|(ours, theirs)| ours != theirs) {
        panic!("differs at byte {at}");
    }
    assert_eq!(actual.len(), expected.len());
    assert_eq!(VerityDigest::of(&actual).to_string(), IMAGE_DIGEST);
}

#[test]
fn image_without_digests_is_the_peers_too() {
    use sha2::Digest as _;
    let mut tree = tree();
    without_digests(&mut tree);
    let sum = hex::encode(sha2::Sha256::digest(image(&tree)));
    assert_eq!(sum, "681108013c06cddf24ec6a71418b1f2621e6e8a1d651458a7bec93840812bcaa");
}

#[test]
fn digests_of_files_are_the_kernels() {
    // The first is published in the kernel's and fsverity-utils' documentation.
    let empty = "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95";
    assert_eq!(VerityDigest::of(b"").to_string(), empty);
    assert_eq!(VerityDigest::of(b"hello\n").to_string(), HELLO);
    assert_eq!(VerityDigest::of(b"x").to_string(), X);
}

/// Made by `fsverity digest` of fsverity-utils 1.5: each level of the tree begins to be needed.
#[test]
fn digests_of_larger_files_are_the_kernels() {
    for (size, digest) in [
        (4096, "0932aa9babd23209a61a0bfd7dae43d7efea7abeb14bb04c77d36e030bf83f80"),
        (524_288, "88614ffd86cbc50ec104cc25614795655801c1db09df29fdd4bdb1948f9d64c8"),
        (524_289, "3f3c5caff47f3853090c48f3e2e274a121cee22d89a450bd71f8a418b365f023"),
        (3_000_000, "de7bed9869ffc89a61710d53cfea8f3168fbf2b1d893675d9897544ddef6183a"),
        (70_000_000, "1c5cc8553140f27c53bf9ed6214fb97f5b2dd9b5ed4e0f72aeb7c22dec12742e"),
    ] {
        let data: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[1]).collect();
        assert_eq!(VerityDigest::of(&data).to_string(), digest, "{size} bytes");
    }
}

#[test]
fn a_file_may_come_in_any_pieces() {
    for size in [4095, 4096, 4097, 128 * 4096, 128 * 4096 + 1, 129 * 4096, 3_000_000] {
        let data: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[1]).collect();
        let whole = VerityDigest::of(&data);
        for piece in [1000, 4096, 9999] {
            let mut hasher = VerityHasher::new();
            data.chunks(piece).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.finish(), whole, "{size} bytes by {piece}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for name in ["", ".", "..", "a/b", "a\0b"] {
        let root = directory([]);
        let mut bad = root.clone();
        bad.entries.insert(name.as_bytes().to_vec(), Node::Directory(root));
        assert!(write_image(bad, &mut Vec::new()).is_err(), "{name:?}");
    }
    let mut long = directory([]);
    long.attributes.xattrs.insert(b"user.x".to_vec(), vec![0; 65536]);
    assert!(write_image(long, &mut Vec::new()).is_err());
}

#[test]
fn large_directories_and_owners_change_the_form_only() {
    let mut root = directory([]);
    for number in 0..5000_u32 {
        let mut attributes = attributes(0o600);
        attributes.uid = number * 100;
        attributes.xattrs.insert(b"user.n".to_vec(), vec![b'v'; (number % 7) as usize]);
        let size = u64::from(number) << 21;
        let file = File { attributes, size, backing_path: b"00/x.file".to_vec(), digest: None };
        root.entries.insert(format!("name-{number:05}").into_bytes(), Node::File(file));
    }
    let first = image(&root);
    assert_eq!(first, image(&root.clone()), "the same tree, the same bytes");
    // Both forms of inodes are there, and directories have blocks of their own.
    assert!(first.len() > 5000 * 64);
}

/// The real tool writes the tree and the descriptor that the kernel would keep.
#[test]
fn trees_are_those_of_the_real_tool() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for size in [0, 1, 4096, 4097, 128 * 4096, 128 * 4096 + 1, 3_000_000, 70_000_000] {
        let data: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[1]).collect();
        std::fs::write(path("file"), &data).unwrap();
        let option = |key: &str, name: &str| format!("--out-{key}={}", path(name).display());
        let output = std::process::Command::new("fsverity")
            .args(["digest", "--compact"])
            .args([option("merkle-tree", "tree"), option("descriptor", "descriptor")])
            .arg(path("file"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");

        let mut tree = MerkleTree::new(u64::from(size));
        let mut blocks = Vec::new();
        for piece in data.chunks(9999) {
            blocks.extend(tree.update(piece));
        }
        let seal = tree.finish().unwrap();
        blocks.extend(seal.blocks);
        blocks.sort_by_key(|block| block.offset);
        let theirs = std::fs::read(path("tree")).unwrap();
        assert_eq!(seal.tree_len, theirs.len() as u64, "{size} bytes");
        assert_eq!(blocks.len() * 4096, theirs.len(), "{size} bytes");
        for (block, theirs) in blocks.iter().zip(theirs.chunks(4096)) {
            assert!(block.bytes == theirs, "{size} bytes, the block at {}", block.offset);
        }
        let descriptor = std::fs::read(path("descriptor")).unwrap();
        assert!(seal.descriptor[..] == descriptor, "{size} bytes");
        let digest = String::from_utf8(output.stdout).unwrap();
        assert_eq!(digest.trim(), seal.digest.to_string(), "{size} bytes");
        assert_eq!(seal.digest, VerityDigest::of(&data), "{size} bytes");
    }
}

#[test]
fn a_tree_of_another_size_is_none() {
    for (said, is) in [(0, 1), (5000, 4999), (4096, 4097), (1, 3_000_000), (3_000_000, 1)] {
        let mut tree = MerkleTree::new(said);
        tree.update(&vec![7; is]);
        assert_eq!(tree.finish(), None, "{said} said, {is} came");
    }
}
