//! After a sysroot was copied file by file: what a copy loses is fs-verity.

use updraft_fs::{Dir, FileKind, verity};
use updraft_repo::Wanted;
use updraft_task::Context;

use crate::composefs::IMAGE;
use crate::{Locked, Result};

impl Locked<'_> {
    /// Seals all objects and images of deployments again, where the repository wants that. Tells
    /// how many.
    ///
    /// # Errors
    /// [`crate::Error::Fs`]; [`updraft_error::Kind::Unsupported`] where sealing is demanded and the file
    /// system cannot do it.
    pub fn post_copy(&self, ctx: &Context) -> Result<u64> {
        let sysroot = self.sysroot;
        if sysroot.repo.config().fsverity == Wanted::No {
            return Ok(0);
        }
        let mut sealed = 0_u64;
        let objects = sysroot.ostree.open_dir("repo")?.open_dir("objects")?;
        for entry in objects.sorted_entries()? {
            if entry.kind != FileKind::Directory {
                continue;
            }
            ctx.check()?;
            let folder = objects.open_dir(&entry.name)?;
            for object in folder.sorted_entries()? {
                if object.name.to_string_lossy().ends_with(".file") {
                    sealed = sealed.saturating_add(self.seal(&folder, &object.name)?);
                }
            }
        }
        for deployment in sysroot.all_deployments()? {
            let root = sysroot.root.open_dir(deployment.id.path())?;
            if root.exists(IMAGE)? {
                sealed = sealed.saturating_add(self.seal(&root, IMAGE.as_ref())?);
            }
        }
        Ok(sealed)
    }

    fn seal(&self, dir: &Dir, name: &std::ffi::OsStr) -> Result<u64> {
        if dir.metadata(name)?.kind != FileKind::Regular {
            return Ok(0);
        }
        if verity::seal(&dir.open_file(name)?)? == verity::Support::Sealed {
            return Ok(1);
        }
        if self.sysroot.repo.config().fsverity == Wanted::Yes {
            let message = "fsverity required but filesystem does not support it";
            return Err(crate::Error::other(updraft_error::Kind::Unsupported, message));
        }
        Ok(0)
    }
}
