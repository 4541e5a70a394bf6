//! Files of one device that are put into an image beside its system: `/etc` and `/var`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

use crate::{Error, Result};

/// Copies all that is in `from` over `to`, with owners and modes. What is there and is no folder
/// is replaced.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).map_err(Error::file("list", from))? {
        let source = entry.map_err(Error::file("list", from))?.path();
        let Some(name) = source.file_name() else { continue };
        let target = to.join(name);
        let metadata = source.symlink_metadata().map_err(Error::file("look at", &source))?;
        let present = target.symlink_metadata().ok();
        if metadata.is_dir() {
            if !present.is_some_and(|present| present.is_dir()) {
                fs::create_dir(&target).map_err(Error::file("create", &target))?;
                set_attributes(&metadata, &target)?;
            }
            copy(&source, &target)?;
            continue;
        }
        if present.is_some() {
            fs::remove_file(&target).map_err(Error::file("replace", &target))?;
        }
        if metadata.is_symlink() {
            let link = fs::read_link(&source).map_err(Error::file("read", &source))?;
            symlink(link, &target).map_err(Error::file("create", &target))?;
            lchown(&target, Some(metadata.uid()), Some(metadata.gid()))
                .map_err(Error::file("change the owner of", &target))?;
        } else if metadata.is_file() {
            fs::copy(&source, &target).map_err(Error::file("copy to", &target))?;
            set_attributes(&metadata, &target)?;
        }
    }
    Ok(())
}

fn set_attributes(metadata: &fs::Metadata, target: &Path) -> Result<()> {
    lchown(target, Some(metadata.uid()), Some(metadata.gid()))
        .map_err(Error::file("change the owner of", target))?;
    let mode = fs::Permissions::from_mode(metadata.mode() & 0o7777);
    fs::set_permissions(target, mode).map_err(Error::file("change the mode of", target))
}
