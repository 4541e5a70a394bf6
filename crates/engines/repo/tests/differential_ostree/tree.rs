//! Directory trees that hold everything an OSTree repository can keep, and some that it cannot.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::XattrFlags;

/// `cap_net_bind_service+ep` as the kernel stores it (`vfs_cap_data`, version 2).
const NET_BIND_SERVICE: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The size of a file that no buffer holds.
const LARGE: usize = 20 * 1024 * 1024;

/// Adds a large file.
pub(crate) fn large(root: &Path) {
    file(&root.join("large"), &noise(LARGE), (0, 0), 0o644);
}

/// Writes a file with owner and mode, in the order that keeps set-uid bits.
pub(crate) fn file(path: &Path, content: &[u8], (uid, gid): (u32, u32), mode: u32) {
    fs::write(path, content).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a directory with owner and mode.
pub(crate) fn directory(path: &Path, (uid, gid): (u32, u32), mode: u32) {
    fs::create_dir_all(path).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a symbolic link with owner.
pub(crate) fn link(path: &Path, target: &str, (uid, gid): (u32, u32)) {
    symlink(target, path).unwrap();
    lchown(path, Some(uid), Some(gid)).unwrap();
}

/// Sets an extended attribute, not following links.
pub(crate) fn xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// Bytes that do not compress and are the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A tree with every kind of entry, owner, mode, name and attribute that a repository can keep.
pub(crate) fn nasty(root: &Path) {
    directory(root, (0, 0), 0o755);
    let root = |name: &str| root.join(name);

    file(&root("hello"), b"hello\n", (0, 0), 0o644);
    file(&root("empty-file"), b"", (0, 0), 0o644);
    file(&root("another-empty"), b"", (7, 8), 0o600);
    file(&root("setuid"), b"#!/bin/sh\n", (0, 0), 0o4755);
    file(&root("setgid"), b"setgid", (0, 12), 0o2755);
    file(&root("sticky-file"), b"sticky", (0, 0), 0o1644);
    file(&root("no-permissions"), b"secret", (0, 0), 0o000);
    file(&root("write-only"), b"w", (0, 0), 0o200);
    file(&root("world-writable"), b"all", (1000, 1001), 0o666);
    file(&root("large-owner"), b"owner", (4_000_000_000, 65534), 0o640);
    file(&root("zeros"), &vec![0; 300_000], (0, 0), 0o644);
    file(&root("noise"), &noise(300_000), (0, 0), 0o644);

    file(&root("attributes"), b"with xattrs", (0, 0), 0o644);
    xattr(&root("attributes"), "user.zeta", b"last");
    xattr(&root("attributes"), "user.alpha", b"first\0with zero");
    xattr(&root("attributes"), "user.empty", b"");
    xattr(&root("attributes"), "trusted.updraft", &[0, 255, 1]);
    file(&root("capable"), b"\x7fELF", (0, 0), 0o755);
    xattr(&root("capable"), "security.capability", &NET_BIND_SERVICE);

    link(&root("link"), "hello", (0, 0));
    link(&root("dangling"), "no/such/file", (1000, 1000));
    link(&root("absolute"), "/etc/passwd", (0, 0));
    link(&root("to-itself"), "to-itself", (0, 0));
    link(&root("to-directory"), "directories/plain", (0, 0));
    link(&root("spaces in target"), " a  b ", (0, 0));
    link(&root("attributed-link"), "hello", (0, 0));
    xattr(&root("attributed-link"), "trusted.link", b"on the link");
    link(&root("long-link"), &"x/".repeat(1000), (0, 0));

    directory(&root("directories/plain"), (0, 0), 0o755);
    directory(&root("directories"), (0, 0), 0o755);
    directory(&root("directories/sticky"), (0, 0), 0o1777);
    directory(&root("directories/setgid"), (1000, 50), 0o2770);
    directory(&root("directories/closed"), (0, 0), 0o000);
    directory(&root("directories/attributed"), (0, 0), 0o755);
    xattr(&root("directories/attributed"), "user.directory", b"yes");
    directory(&root("directories/empty/in/empty"), (0, 0), 0o755);

    let mut deep = root("deep");
    for level in 0..60 {
        deep = deep.join(format!("level-{level}"));
    }
    directory(&deep, (0, 0), 0o755);
    file(&deep.join("bottom"), b"here", (0, 0), 0o644);

    directory(&root("names"), (0, 0), 0o755);
    let long = "n".repeat(255);
    for name in [
        "with space",
        " leading",
        "trailing ",
        "new\nline",
        "tab\there",
        "quote'\"`",
        "back\\slash",
        "-dash",
        ".hidden",
        "..twodots",
        "*",
        "ünïcödé",
        "日本語",
        "🚀",
        "a",
        "A",
        "a-b",
        "a.b",
        "a b",
        "aé",
        "é",
        "e\u{301}",
        "\u{1}control",
        "$HOME",
        &long,
    ] {
        file(&root("names").join(name), name.as_bytes(), (0, 0), 0o644);
    }

    directory(&root("hard"), (0, 0), 0o755);
    file(&root("hard/one"), b"linked", (0, 0), 0o644);
    fs::hard_link(root("hard/one"), root("hard/two")).unwrap();
    fs::hard_link(root("hard/one"), root("hard-three")).unwrap();
    file(&root("hard/equal"), b"linked", (0, 0), 0o644);

    directory(&root("many"), (0, 0), 0o755);
    for index in 0..300 {
        file(&root(&format!("many/{index}")), format!("{index}").as_bytes(), (0, 0), 0o644);
    }
}

/// A small tree without anything unusual.
pub(crate) fn small(root: &Path) {
    directory(root, (0, 0), 0o755);
    file(&root.join("hello"), b"hello\n", (0, 0), 0o644);
    link(&root.join("link"), "hello", (0, 0));
    directory(&root.join("sub"), (0, 0), 0o755);
    file(&root.join("sub/x"), b"x", (0, 0), 0o755);
}

/// Makes a file whose name the format cannot carry.
pub(crate) fn latin1(root: &Path) {
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), b"coffee").unwrap();
}
