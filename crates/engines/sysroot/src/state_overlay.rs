//! State overlays: directories of the image, such as `/opt`, that can be written to for good.
//!
//! What is written is kept below `/var/ostree/state-overlays/NAME`. When the system runs from
//! another commit than the time before, what shadows files of the commit is dropped, so that new
//! files of the image are seen; what the image does not have stays.

use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::mount::{Overlay, Writes};
use updraft_fs::{Dir, FileKind, xattr};

use crate::{Error, Result, Sysroot, copy};

const FOLDER: &str = "var/ostree/state-overlays";
/// The commit below which the upper directory was last mounted.
const COMMIT_ATTRIBUTE: &str = "user.ostree.deploymentcsum";
/// Says that a directory hides the one below it.
const OPAQUE_ATTRIBUTE: &str = "trusted.overlay.opaque";

impl Sysroot {
    /// Mounts the overlay `name` over `target`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the system does not run from a deployment; [`Kind::Invalid`] for a
    /// name that is no file name; [`Error::Fs`].
    pub fn mount_state_overlay(&self, name: &str, target: &Path) -> Result<()> {
        let booted = self.running()?.ok_or_else(|| {
            Error::other(Kind::NotFound, "Must be booted into an OSTree deployment")
        })?;
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            let message = format!("Invalid name of a state overlay '{name}'");
            return Err(Error::other(Kind::Invalid, message));
        }
        let root = &self.options.running_root;
        let folder: PathBuf = root.join(FOLDER).join(name);
        let dir = Dir::create_all(&folder, 0o700)?;
        dir.ensure_dir("work", 0o700)?;
        let upper = dir.ensure_dir("upper", 0o700)?;
        let lower = root.join(target.strip_prefix("/").unwrap_or(target));
        let checksum = booted.checksum.to_string();
        if xattr::get(&upper, COMMIT_ATTRIBUTE)?.as_deref() != Some(checksum.as_bytes()) {
            let below = Dir::open(&lower)?;
            drop_shadows(&below, &upper)?;
            // Only now: an interruption drops what is left the next time.
            upper.sync()?;
            xattr::set(&upper, COMMIT_ATTRIBUTE, checksum.as_bytes())?;
        }
        let metadata = Dir::open(&lower)?.own_metadata()?;
        upper.chown_self(metadata.uid, metadata.gid)?;
        upper.chmod_self(metadata.permissions())?;
        let overlay =
            Overlay { lower: &lower, upper: &folder.join("upper"), work: &folder.join("work") };
        Ok(overlay.mount(&lower, Writes::Upper)?)
    }
}

/// Removes from `upper` what hides something of `lower`. Of two directories only what is in them
/// does, unless the upper one hides the other whole.
fn drop_shadows(lower: &Dir, upper: &Dir) -> Result<()> {
    for entry in upper.sorted_entries()? {
        let Some(below) = lower.try_metadata(&entry.name)? else { continue };
        if entry.kind == FileKind::Directory && below.kind == FileKind::Directory {
            let opaque = xattr::get_at(upper, &entry.name, OPAQUE_ATTRIBUTE)?;
            if opaque.as_deref() != Some(b"y") {
                drop_shadows(&lower.open_dir(&entry.name)?, &upper.open_dir(&entry.name)?)?;
                continue;
            }
        }
        copy::remove(upper, Path::new(&entry.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_image_has_is_seen_again_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let (lower, upper) =
            (dir.ensure_dir("lower", 0o755).unwrap(), dir.ensure_dir("upper", 0o755).unwrap());
        for (at, path) in [
            (&lower, "app/bin"),
            (&upper, "app/bin"),
            (&upper, "app/state"),
            (&upper, "own/file"),
            (&lower, "kind/file"),
        ] {
            let path = Path::new(path);
            let parent = at.ensure_dir_all(path.parent().unwrap(), 0o755).unwrap();
            parent.create_file(path.file_name().unwrap(), 0o644).unwrap();
        }
        upper.create_file("kind", 0o644).unwrap();
        drop_shadows(&lower, &upper).unwrap();
        for (path, stays) in
            [("app/bin", false), ("app/state", true), ("own/file", true), ("kind", false)]
        {
            assert_eq!(upper.exists(path).unwrap(), stays, "{path}");
        }
    }
}
