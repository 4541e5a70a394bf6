//! `uncompressed-objects-cache`: unpacked files of an archive repository, which checkouts link.
//!
//! As libostree keeps it: `XX/REST.file`, with the modes of checkouts in user mode. Whoever writes
//! to a checked out file writes to the cache, too, so ours have the time 0 and one with another
//! time is made anew. Nothing in it is durable: after a boot it starts empty, since a power cut
//! may have left files without their content.

use std::path::Path;

use updraft_fs::{Dir, FileKind, TempFile, atomic_write_unsynced, remove_tree};
use updraft_ostree::{FileHeader, ObjectName, RepoMode};

use super::copy::copy_verified;
use super::entry::user_permissions;
use super::{CheckoutOptions, Hardlinks};
use crate::config::CORE;
use crate::repo::DIR_MODE;
use crate::sink::set_object_time;
use crate::staging::kernel_text;
use crate::{FileReader, Repo, Result};

const FOLDER: &str = "uncompressed-objects-cache";
/// Says since which boot the cache is filled.
const BOOT: &str = ".boot";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const MAX_BOOT_ID: u64 = 128;

/// The unpacked files of a repository.
#[derive(Debug)]
pub(super) struct Cache {
    dir: Dir,
    /// Where files are until they are complete: nobody looks among those of the cache for what a
    /// process left that died.
    tmp: Dir,
}

impl Cache {
    /// The cache, where this checkout may use one.
    pub(super) fn open(repo: &Repo, options: &CheckoutOptions) -> Result<Option<Self>> {
        let suits = repo.mode() == RepoMode::Archive
            && options.user_mode
            && options.hardlinks == Hardlinks::Prefer
            && options.uncompressed_cache;
        let config = repo.config();
        let enabled = config.key_file().get_bool(CORE, "enable-uncompressed-cache")?;
        if !suits || !enabled.unwrap_or(true) {
            return Ok(None);
        }
        // Who may not write to the repository copies.
        let Ok(dir) = repo.root().ensure_dir(FOLDER, DIR_MODE) else { return Ok(None) };
        let boot = kernel_text(BOOT_ID)?.into_bytes();
        if dir.try_read(BOOT, MAX_BOOT_ID)?.as_ref() != Some(&boot) {
            for entry in dir.entries()? {
                remove_tree(&dir, &entry.name)?;
            }
            if atomic_write_unsynced(&dir, BOOT, &boot, 0o644).is_err() {
                return Ok(None);
            }
        }
        let tmp = repo.tmp_dir()?;
        // Somebody put this folder on another file system.
        let is_elsewhere = tmp.own_metadata()?.device != dir.own_metadata()?.device;
        let tmp = if is_elsewhere { dir.clone() } else { tmp };
        Ok(Some(Self { dir, tmp }))
    }

    /// Where the files are.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The place of a file in the cache.
    pub(super) fn path(object: &ObjectName) -> String {
        object.loose_path(RepoMode::Bare)
    }

    /// Whether the file is there as we put it.
    pub(super) fn has(&self, path: &str) -> Result<bool> {
        let Some(found) = self.dir.try_metadata(path)? else { return Ok(false) };
        Ok(found.kind == FileKind::Regular && (found.mtime, found.mtime_nanos) == (0, 0))
    }

    /// Unpacks a regular file into the cache.
    pub(super) fn put(
        &self,
        path: &str,
        object: &ObjectName,
        (header, size): (&FileHeader, u64),
        reader: &mut FileReader,
    ) -> Result<()> {
        let file = TempFile::new_in(&self.tmp)?;
        copy_verified(object, (header, size), reader, file.file())?;
        file.set_mode(user_permissions(header))?;
        set_object_time(file.file())?;
        if let Some(folder) = Path::new(path).parent() {
            self.dir.ensure_dir(folder, DIR_MODE)?;
        }
        Ok(file.persist_replace(&self.dir, path)?)
    }
}

/// Removes the files that no checkout has any more.
pub(crate) fn sweep(repo: &Repo) -> Result<()> {
    let Some(dir) = repo.root().try_open_dir(FOLDER)? else { return Ok(()) };
    for folder in dir.entries()? {
        if folder.kind != FileKind::Directory {
            continue;
        }
        let Some(folder) = dir.try_open_dir(&folder.name)? else { continue };
        for entry in folder.entries()? {
            let found = folder.try_metadata(&entry.name)?;
            if found.is_some_and(|found| found.kind == FileKind::Regular && found.links <= 1) {
                folder.try_unlink(&entry.name)?;
            }
        }
    }
    Ok(())
}
