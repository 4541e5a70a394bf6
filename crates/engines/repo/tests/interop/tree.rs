//! Two trees, each in two states: one that every mode of repository can hold, and one with all
//! that only some can.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

/// Writes the first state of a tree.
pub(crate) fn plant(root: &Path, is_canonical: bool) {
    for dir in ["usr/bin", "usr/lib/deep/er", "usr/share", "empty"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    file(root, "usr/bin/tool", lines(7, 4000), 0o755);
    file(root, "usr/lib/deep/er/data", noise(200_000), 0o644);
    file(root, "usr/lib/gone", "will be gone\n", 0o644);
    file(root, "usr/share/nothing", "", 0o644);
    file(root, "usr/share/name with space", "a name\n", 0o644);
    file(root, "usr/share/name\nof two lines", "another name\n", 0o644);
    symlink("tool", root.join("usr/bin/link")).unwrap();
    symlink("/nowhere/at/all", root.join("usr/dangling")).unwrap();
    if is_canonical {
        return;
    }
    file(root, "usr/bin/setuid", "#!/bin/sh\n", 0o4755);
    file(root, "usr/share/secret", "secret\n", 0o600);
    file(root, "usr/share/unreadable", "unreadable\n", 0o000);
    file(root, "usr/share/others", "others\n", 0o664);
    chown(root.join("usr/share/others"), Some(1000), Some(1001)).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    file(root, "usr/share/attributes", "attributes\n", 0o644);
    for (path, name) in [("usr/share/attributes", "user.b"), ("usr/lib", "user.dir")] {
        let value = b"with\0zero";
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(root.join(path), name, value, flags).unwrap();
    }
}

/// Makes the second state of the first.
pub(crate) fn grow(root: &Path) {
    file(root, "usr/bin/tool", lines(7, 4000).replace("999", "nine hundred"), 0o755);
    let moved = root.join("usr/lib/moved");
    fs::rename(root.join("usr/lib/deep/er/data"), &moved).unwrap();
    let mut data = fs::read(&moved).unwrap();
    data.splice(1000..1010, *b"another ten bytes, and some more");
    fs::write(&moved, data).unwrap();
    fs::remove_file(root.join("usr/lib/gone")).unwrap();
    file(root, "usr/lib/new", lines(11, 100), 0o644);
    symlink("../lib/new", root.join("usr/bin/new-link")).unwrap();
    fs::create_dir(root.join("usr/new-folder")).unwrap();
}

fn file(root: &Path, name: &str, content: impl AsRef<[u8]>, mode: u32) {
    let path = root.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn lines(seed: u32, count: u32) -> String {
    let lines: Vec<_> =
        (0..count).map(|line| format!("{} {}\n", line * seed, line ^ seed)).collect();
    lines.concat()
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}
