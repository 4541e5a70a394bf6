//! The link `boot/loader`, whose change is the commit point of new entries.
//!
//! Boot loaders read a file system as it lies on the disk and replay no journal. A rename is one
//! change for whoever replays the journal; on the disk it is several blocks, which arrive in any
//! order: the name in its directory, the new link, and the old one, which is wiped. Two things
//! make it one change for a boot loader, too:
//!
//! * the new link is on the disk, in its place, before the rename;
//! * the old link has a second name, `loader.old`, so that it is not wiped.
//!
//! What is left then is the number in one directory entry, which lies within one sector.

use updraft_fs::Dir;

use crate::{Deployment, Locked, Result, label};

const LINK: &str = "loader";
const NEW: &str = "loader.tmp";
const OLD: &str = "loader.old";

impl Locked<'_> {
    /// Lets `boot/loader` lead to `loader.{version}`. Everything that this holds must have been
    /// written; it is flushed here.
    pub(crate) fn switch_loader(
        &self,
        boot: &Dir,
        version: u8,
        default: Option<&Deployment>,
    ) -> Result<()> {
        remove_extra_links(boot)?;
        let target = format!("loader.{version}");
        boot.symlink(&target, NEW)?;
        if let Some(default) = default {
            let root = self.sysroot.root.open_dir(default.id.path())?;
            label::boot(&root, boot, &target, NEW)?;
        }
        let kept = boot.exists(LINK)? && boot.link(boot, LINK, OLD).is_ok();
        if !kept {
            tracing::debug!("boot/loader has no second name");
        }
        boot.sync()?;
        self.flush()?;
        // Commit point: boot/loader -> loader.B.
        boot.rename(NEW, boot, LINK)?;
        boot.sync()?;
        self.flush()?;
        // From here on nobody reads the old link.
        remove_extra_links(boot)
    }
}

/// What this or an interrupted switch left.
pub(crate) fn remove_extra_links(boot: &Dir) -> Result<()> {
    boot.try_unlink(NEW)?;
    boot.try_unlink(OLD)?;
    Ok(())
}
