//! [`Directory`]: a directory being filled.

use std::path::Path;
use std::sync::Arc;

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, remove_tree, xattr};
use updraft_ostree::DirMeta;

use super::walk::must_be_new;
use super::{CheckoutOptions, UnionMode};
use crate::ostreemeta::attribute;
use crate::{Error, Result};

/// The mode of a directory while it is filled.
const PRIVATE: u32 = 0o700;

/// A directory of the checkout. Whoever releases it last gives it its owner, mode and time.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) dir: Dir,
    /// What it becomes; `None` for one that was there before.
    target: Option<Target>,
    parent: Option<Arc<Directory>>,
}

#[derive(Debug)]
struct Target {
    /// uid and gid, or `None` in user mode.
    owner: Option<(u32, u32)>,
    mode: u32,
}

/// What a new directory is to become, and the one above it.
pub(super) type Made = (DirMeta, Option<Arc<Directory>>);

impl Directory {
    /// Makes the directory `name`, or opens the one that is there if the options allow it.
    pub(super) fn make(
        above: &Dir,
        name: &Path,
        made: Option<Made>,
        options: &CheckoutOptions,
    ) -> Result<Self> {
        let is_new = match above.create_dir(name, PRIVATE) {
            Ok(()) => true,
            Err(error) if error.is_already_exists() => {
                if must_be_new(options) && made.is_some() {
                    return Err(Error::Io {
                        operation: "mkdirat".to_owned(),
                        source: std::io::Error::from_raw_os_error(17),
                    });
                }
                replace_file(above, name, matches!(made, Some((_, Some(_)))), options)?
            }
            Err(error) => return Err(error.into()),
        };
        let dir = above.open_dir(name).map_err(|error| match error.io_kind() {
            std::io::ErrorKind::NotADirectory => {
                let message = format!("Can't replace file with directory: {}", name.display());
                Error::other(Kind::Conflict, message)
            }
            _ => error.into(),
        })?;
        let Some((meta, parent)) = made else {
            return Ok(Self { dir, target: None, parent: None });
        };
        if !is_new {
            return Ok(Self { dir, target: None, parent });
        }
        let owner = (!options.user_mode).then_some((meta.uid, meta.gid));
        if owner.is_some() {
            for (name, value) in meta.xattrs.iter() {
                xattr::set(&dir, attribute(name), value)?;
            }
        }
        let bits = if options.bare_user_only_dirs { 0o775 } else { 0o7777 };
        let target = Some(Target { owner, mode: meta.permissions() & bits });
        Ok(Self { dir, target, parent })
    }

    /// Whether it was made by this checkout.
    pub(super) fn is_new(&self) -> bool {
        self.target.is_some()
    }

    /// Removes everything that is in it (an opaque whiteout).
    pub(super) fn clear(&self) -> Result<()> {
        for entry in self.dir.entries()? {
            remove_tree(&self.dir, &entry.name)?;
        }
        Ok(())
    }

    /// Gives up one hold. The last one finishes the directory, then releases the one above.
    pub(super) fn release(this: Arc<Self>) -> Result<()> {
        let mut next = Some(this);
        while let Some(directory) = next.take().and_then(Arc::into_inner) {
            if let Some(target) = &directory.target {
                if let Some((uid, gid)) = target.owner {
                    directory.dir.chown_self(uid, gid)?;
                }
                directory.dir.chmod_self(target.mode)?;
                directory.dir.set_own_mtime(0)?;
            }
            next = directory.parent;
        }
        Ok(())
    }
}

/// Puts a directory in the place of a file or a link, as a layer with whiteouts does. `false` where a
/// directory is there already, or where a file may stay.
fn replace_file(
    above: &Dir,
    name: &Path,
    is_below: bool,
    options: &CheckoutOptions,
) -> Result<bool> {
    let replaces = is_below && options.whiteouts && options.union == UnionMode::Overwrite;
    if !replaces || above.metadata(name)?.kind == FileKind::Directory {
        return Ok(false);
    }
    above.unlink(name)?;
    above.create_dir(name, PRIVATE)?;
    Ok(true)
}
