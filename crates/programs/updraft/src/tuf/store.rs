//! A folder of trusted metadata files: `root.json`, …, and delegated roles percent-encoded.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::{RoleFiles, RoleName};

/// The folder.
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Dir::create_all(path, 0o755)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Trusts `root`, when there is none yet.
    pub(super) fn begin(&self, root: &[u8]) -> Result {
        let name = file_name(&RoleName::Root);
        if self.path.join(&name).exists() {
            let message = format!("`{}` has a trusted root already", self.path.display());
            return Err(Failure::new(Kind::Conflict, message).hint("begin with an empty folder"));
        }
        write(&self.path, &name, root)
    }

    pub(super) fn files(&self) -> Result<RoleFiles> {
        let mut files = RoleFiles::new();
        let failed = || format!("failed to read `{}`", self.path.display());
        for entry in std::fs::read_dir(&self.path).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(role) = name.and_then(role) else { continue };
            files.insert(role, std::fs::read(&path).with_context(failed)?);
        }
        Ok(files)
    }

    /// Stores a file that has just become trusted.
    pub(super) fn put(&self, role: &RoleName, bytes: &[u8]) -> Result {
        write(&self.path, &file_name(role), bytes)
    }

    /// Forgets a file whose keys were rotated.
    pub(super) fn remove(&self, role: &RoleName) -> Result {
        let folder = Dir::open(&self.path)?;
        folder.try_unlink(file_name(role))?;
        Ok(folder.sync()?)
    }
}

/// Writes a file of `folder` whole or not at all: the rename is the commit point.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result {
    let folder = Dir::create_all(folder, 0o755)?;
    Ok(atomic_write(&folder, name, bytes, 0o644)?)
}

/// A name that stays in its folder: all but unreserved characters (RFC 3986) as `%XX`.
pub(super) fn encode(name: &str) -> String {
    let mut encoded = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
        // A name that begins with a dot may be `..`, or hidden.
        if is_plain || (byte == b'.' && index > 0) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn file_name(role: &RoleName) -> String {
    format!("{}.json", encode(role.as_str()))
}

/// The role of a file's name; nothing else is in the folder but what people put there.
fn role(file_name: &str) -> Option<RoleName> {
    let name = file_name.strip_suffix(".json")?;
    Some(match name {
        "root" => RoleName::Root,
        "timestamp" => RoleName::Timestamp,
        "snapshot" => RoleName::Snapshot,
        "targets" => RoleName::Targets,
        // The core's own names of files encode delegated roles alike.
        _ => RoleName::of_file_name(&format!("delegated.{file_name}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::{encode, file_name, role};
    use updraft_tuf::RoleName;

    #[test]
    fn every_role_has_a_file_of_its_own_in_the_folder() {
        let names =
            ["?", "#", "/delegatedrole", "../delegatedrole", "..", ".", "a.b", "ü", "delegated.x"];
        for name in names {
            let delegated = RoleName::Delegated(name.to_owned());
            let file = file_name(&delegated);
            assert!(!file.contains('/') && !file.starts_with('.'), "{file}");
            assert_eq!(role(&file), Some(delegated), "{file}");
        }
        for top in [RoleName::Root, RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets] {
            assert_eq!(role(&file_name(&top)), Some(top));
        }
        assert_eq!(encode("app/fw.bin"), "app%2Ffw.bin");
        assert_eq!(role("notes.txt"), None);
    }
}
