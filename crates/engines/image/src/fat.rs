//! FAT file systems from folders, by `mkfs.vfat` and `mcopy`.

use std::path::Path;

use updraft_process::Command;
use updraft_task::Context;

use crate::build::run;
use crate::{Error, Result};

/// A file system to be made.
pub(crate) struct Fat<'a> {
    /// Its label.
    pub(crate) label: &'a str,
    /// Its volume id.
    pub(crate) volume_id: u32,
    /// Seconds since 1970 for all its times.
    pub(crate) time: u64,
    /// How large it is.
    pub(crate) size: u64,
}

impl Fat<'_> {
    /// Makes it in `file`, with what is in `folder`.
    pub(crate) fn make(&self, ctx: &Context, folder: &Path, file: &Path) -> Result<()> {
        let created = std::fs::File::create(file).map_err(Error::file("create", file))?;
        created.set_len(self.size).map_err(Error::file("enlarge", file))?;
        let mut make = Command::new("mkfs.vfat").args(["--invariant", "-F", "32", "-n"]);
        make = make.arg(self.label.to_uppercase()).arg("-i").arg(format!("{:08x}", self.volume_id));
        run(ctx, &make.arg(file), "make a FAT file system", "dosfstools")?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(Error::file("list", folder))? {
            names.push(entry.map_err(Error::file("list", folder))?.path());
        }
        names.sort();
        if names.is_empty() {
            return Ok(());
        }
        // `-m` would keep the times of the files; all get the same.
        let copy = Command::new("mcopy")
            .args(["-s", "-Q", "-i"])
            .arg(file)
            .args(names)
            .arg("::/")
            .env("SOURCE_DATE_EPOCH", self.time.to_string())
            .env("TZ", "UTC");
        run(ctx, &copy, "fill a FAT file system", "mtools")?;
        Ok(())
    }
}
