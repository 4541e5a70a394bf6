//! A copy of a tree that shares its files with the original, so that it can be rearranged.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use updraft_fs::{Dir, FileKind, xattr};
use updraft_task::Context;

use crate::{Error, Result};

/// A copy of folders and links with all attributes, and hard links to files, or copies of them.
pub(crate) fn copy_tree(ctx: &Context, from: &Dir, to: &Path) -> Result<()> {
    ctx.check()?;
    fs::create_dir(to).map_err(Error::file("create", to))?;
    let target = Dir::open(to)?;
    for entry in from.sorted_entries()? {
        let name = Path::new(&entry.name);
        match entry.kind {
            FileKind::Directory => copy_tree(ctx, &from.open_dir(name)?, &to.join(name))?,
            FileKind::Regular => {
                if target.link(from, name, name).is_err() {
                    copy_file(from, name, &target)?;
                }
            }
            FileKind::Symlink => {
                target.symlink(from.read_link(name)?, name)?;
                let metadata = from.metadata(name)?;
                for (key, value) in xattr::all_at(from, name)? {
                    xattr::set_at(&target, name, key, &value)?;
                }
                target.chown(name, metadata.uid, metadata.gid)?;
            }
            // Devices and sockets are made by the running system.
            FileKind::Other => {}
        }
    }
    let metadata = from.own_metadata()?;
    for (key, value) in xattr::all(from)? {
        xattr::set(&target, key, &value)?;
    }
    target.chown_self(metadata.uid, metadata.gid)?;
    target.chmod_self(metadata.permissions())?;
    Ok(())
}

fn copy_file(from: &Dir, name: &Path, target: &Dir) -> Result<()> {
    let path = target.path().join(name);
    let (source, copy) = (from.open_file(name)?, target.create_file(name, 0o600)?);
    updraft_fs::copy::contents(&source, &copy).map_err(Error::file("copy to", &path))?;
    for (key, value) in xattr::all(&source)? {
        xattr::set(&copy, key, &value)?;
    }
    let metadata = source.metadata().map_err(Error::file("look at", &path))?;
    // The owner first: changing it clears set-id bits.
    target.chown(name, metadata.uid(), metadata.gid())?;
    target.chmod(name, metadata.mode() & 0o7777)?;
    Ok(())
}
