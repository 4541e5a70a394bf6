//! `/var`: one for each stateroot, filled once, from the first commit that is deployed.

use std::path::Path;

use updraft_fs::{Dir, FileKind};

use crate::{Locked, Result, copy};

/// The copy in the making.
const TEMPORARY: &str = ".var.new";

impl Locked<'_> {
    /// Copies the commit's `/var` to that of the stateroot when that is empty. What is there stays
    /// as it is: it is the system's data, and no commit's.
    pub(crate) fn fill_var(&self, root: &Dir, stateroot: &Dir) -> Result<()> {
        let empty = match stateroot.try_open_dir("var")? {
            Some(var) => var.entries()?.is_empty(),
            None => true,
        };
        if !empty {
            return Ok(());
        }
        copy::remove(stateroot, Path::new(TEMPORARY))?;
        let delivered =
            root.try_metadata("var")?.is_some_and(|var| var.kind == FileKind::Directory);
        if delivered {
            copy::tree(root, Path::new("var"), stateroot, Path::new(TEMPORARY))?;
        } else {
            stateroot.create_dir(TEMPORARY, 0o755)?;
        }
        let var = stateroot.open_dir(TEMPORARY)?;
        if !root.exists("usr/lib/tmpfiles.d")? {
            make_usual(&var)?;
        }
        if !self.sysroot.options.skip_sync {
            stateroot.syncfs()?;
        }
        drop(var);
        // Commit point: a rename replaces an empty directory.
        match stateroot.rename(TEMPORARY, stateroot, "var") {
            Ok(()) => Ok(stateroot.sync()?),
            // A file system of its own is mounted there.
            Err(error) if is_busy(&error) => {
                let (from, to) = (stateroot.open_dir(TEMPORARY)?, stateroot.open_dir("var")?);
                for entry in from.sorted_entries()? {
                    let name = Path::new(&entry.name);
                    copy::tree(&from, name, &to, name)?;
                }
                copy::remove(stateroot, Path::new(TEMPORARY))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn is_busy(error: &updraft_fs::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.io_kind(), ErrorKind::ResourceBusy | ErrorKind::CrossesDevices)
}

/// What a system needs that has nobody who makes it at boot.
fn make_usual(var: &Dir) -> Result<()> {
    if !var.exists("tmp")? {
        var.ensure_dir("tmp", 0o1777)?.chmod_self(0o1777)?;
    }
    for name in ["lib", "log"] {
        if !var.exists(name)? {
            var.create_dir(name, 0o755)?;
        }
    }
    for (name, target) in [("run", "../run"), ("lock", "../run/lock")] {
        if !var.exists(name)? {
            var.symlink(target, name)?;
        }
    }
    Ok(())
}
