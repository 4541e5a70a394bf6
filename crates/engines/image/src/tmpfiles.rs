//! What `tmpfiles.d` makes of a tree's `/var` at boot, for it is empty in the tree.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::convert::names;
use crate::{Error, Result};

/// What `tmpfiles.d` makes at every boot, if it is missing.
const TMPFILES: &str = "\
# What links of the root lead to.
d /var/home 0755 root root -
d /var/roothome 0700 root root -
d /var/opt 0755 root root -
d /var/srv 0755 root root -
d /var/mnt 0755 root root -
d /var/usrlocal 0755 root root -
d /run/media 0755 root root -
";
/// For a `/tmp` that is a link.
const TMP: &str = "d /sysroot/tmp 1777 root root -\n";
/// `dpkg` and `rpm` look there for what the tree has elsewhere.
const DATABASES: [&str; 2] = ["dpkg", "rpm"];
/// What systemd's own `tmpfiles.d` makes below `/var`.
const SYSTEMD_FOLDERS: [&str; 7] =
    ["var/cache", "var/lib", "var/local", "var/log", "var/spool", "var/tmp", "var/opt"];

/// The lines for a tree whose `/var` is still as packages left it.
pub(crate) fn of(tree: &Path, tmp_in_memory: bool) -> Result<String> {
    let mut lines = TMPFILES.to_owned();
    if !tmp_in_memory {
        lines.push_str(TMP);
    }
    for name in DATABASES {
        if tree.join("usr/lib/sysimage").join(name).is_dir() {
            let _ = writeln!(lines, "L /var/lib/{name} - - - - ../../usr/lib/sysimage/{name}");
        }
    }
    data_folders(tree, Path::new("var"), &mut lines)?;
    Ok(lines)
}

/// Lines for `tmpfiles.d`, one for each folder of `/var` that packages brought. Those that systemd
/// makes by itself are not repeated.
fn data_folders(tree: &Path, folder: &Path, lines: &mut String) -> Result<()> {
    for name in names(&tree.join(folder))? {
        let path = folder.join(&name);
        let metadata = tree.join(&path).symlink_metadata();
        let metadata = metadata.map_err(Error::file("look at", tree.join(&path)))?;
        let is_plain = !name.contains(char::is_whitespace) && !name.contains(['%', '"', '\'']);
        if !metadata.is_dir() || !is_plain {
            continue;
        }
        if !SYSTEMD_FOLDERS.contains(&path.to_string_lossy().as_ref()) {
            let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
            let _ = writeln!(lines, "d /{} {mode:04o} {uid} {gid} -", path.display());
        }
        data_folders(tree, &path, lines)?;
    }
    Ok(())
}
