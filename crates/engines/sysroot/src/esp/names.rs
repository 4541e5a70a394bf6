//! Names on FAT, beyond what [`updraft_fs::fat`] does for one file.
//!
//! An entry that is all there is of a deployment is not renamed at all: it is written once more.
//!
//! A new folder has a cluster from the start, and nothing brings that to the disk before the name.
//! Of a name that came alone Linux says on sight that the file system is damaged, and writes to it no
//! more; or it leads to whatever got the cluster since. So a folder is made under another name and
//! renamed when it is durable. A name that a cut left there is never used, looked at or removed
//! again, until `fsck.fat` does so. It is at the top and short, of the kind that takes one slot: a
//! folder that has to grow for it would be three writes as well.
//!
//! So that other folders do not have to grow either, a new one gets room for its names while it has
//! none itself: Linux never takes clusters from a folder, and gives slots to new names that removed
//! ones had.

use std::path::Path;

use updraft_bootenv::MAX_ENTRY_BYTES;
use updraft_error::Kind;
pub(crate) use updraft_fs::fat::{make_durable, put_new, remove, rename_to_new};
use updraft_fs::{Dir, FileKind};

use crate::{Error, Result};

/// Each is left by a cut at the wrong moment.
const MAX_LEFT_FOLDERS: u32 = 1000;

/// The longest name takes 21 slots of 32 bytes: twenty of thirteen characters, and one of its own.
/// Six of them and the folder's own two names are 4 KiB: room for forty kernels' names or entries.
const LONGEST_NAME: usize = 255;
const LONGEST_NAMES_OF_ROOM: u32 = 6;

/// Gives an entry another name. It is there under one of them at every moment, or under both.
pub(crate) fn rename_entry(dir: &Dir, old: &str, new: &str) -> Result<()> {
    let bytes = dir.read(old, MAX_ENTRY_BYTES as u64)?;
    // An interrupted call may have written it.
    if dir.try_read(new, MAX_ENTRY_BYTES as u64)?.as_ref() != Some(&bytes) {
        remove(dir, Path::new(new))?;
        put_new(dir, new, &bytes)?;
    }
    Ok(remove(dir, Path::new(old))?)
}

/// The folder of this name in `dir`, which is made where it is not there yet. It has its name only
/// when its content is durable. `top` is the root of the file system.
pub(crate) fn ensure_dir(top: &Dir, dir: &Dir, name: impl AsRef<Path>) -> Result<Dir> {
    let name = name.as_ref();
    if let Some(there) = dir.try_open_dir(name)? {
        return Ok(there);
    }
    let temporary = unused_name(top)?;
    top.create_dir(&temporary, 0o755)?;
    let new = top.open_dir(&temporary)?;
    make_room_for_names(&new)?;
    new.sync()?;
    // The folder above, which brings the name and the content; its own `fsync` brings the name only.
    top.sync()?;
    top.rename(&temporary, dir, name)?;
    let made = dir.open_dir(name)?;
    made.sync()?;
    dir.sync()?;
    top.sync()?;
    Ok(made)
}

/// Has an empty folder grow now, before a cut could come between the writes of that.
fn make_room_for_names(folder: &Dir) -> Result<()> {
    let name = |number: u32| format!("{number:a<LONGEST_NAME$}");
    for number in 0..LONGEST_NAMES_OF_ROOM {
        folder.create_file(name(number), 0o644)?;
    }
    for number in 0..LONGEST_NAMES_OF_ROOM {
        folder.unlink(name(number))?;
    }
    Ok(())
}

/// A name that nothing has: what a cut left is left alone, and not even looked at.
fn unused_name(top: &Dir) -> Result<String> {
    let entries = top.entries()?;
    let is_used = |wanted: &str| entries.iter().any(|one| one.name.eq_ignore_ascii_case(wanted));
    (0..MAX_LEFT_FOLDERS)
        .map(|number| format!("UPDR{number:04}.NEW"))
        .find(|wanted| !is_used(wanted))
        .ok_or_else(|| {
            let message = format!("{}: run fsck.fat on it", top.path().display());
            Error::other(Kind::Exhausted, message)
        })
}

/// Whether something has this name only because a rename was cut off.
pub(crate) fn is_without_content(dir: &Dir, name: &str) -> Result<bool> {
    let found = dir.metadata(name)?;
    Ok(found.kind == FileKind::Regular && found.size == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cut_left_of_a_new_folder_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let top = Dir::open(folder.path()).unwrap();
        let names = |dir: &Dir| -> Vec<_> {
            let entries = dir.sorted_entries().unwrap();
            entries.into_iter().map(|one| one.name.into_string().unwrap()).collect()
        };
        let ostree = ensure_dir(&top, &top, "ostree").unwrap();
        assert_eq!(names(&top), ["ostree"]);
        // It may lead to the clusters of any other folder.
        let left = top.ensure_dir("UPDR0000.NEW", 0o755).unwrap();
        left.create_file("vmlinuz", 0o644).unwrap();
        top.ensure_dir("updr0001.new", 0o755).unwrap();
        for _ in 0..2 {
            ensure_dir(&top, &ostree, "os").unwrap();
            assert_eq!(names(&top), ["UPDR0000.NEW", "ostree", "updr0001.new"]);
            assert_eq!(names(&ostree), ["os"]);
        }
        assert!(left.exists("vmlinuz").unwrap());
    }
}
